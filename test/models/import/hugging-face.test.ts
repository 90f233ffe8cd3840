import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ModelManifest } from '#core/model-manifest.ts';
import { readModelFolder } from '#models/import/hugging-face.ts';
import { importModel } from '#models/import/import-model.ts';
import type { Wishes } from '#models/import/wishes.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { meansModel, putModel } from '#test/support/tiny-models.ts';

const HALF: [number, number, number] = [0.5, 0.5, 0.5];
const VIT = {
  do_normalize: true,
  do_rescale: true,
  do_resize: true,
  image_mean: HALF,
  image_processor_type: 'ViTImageProcessor',
  image_std: HALF,
  resample: 2,
  rescale_factor: 1 / 255,
  size: { height: 224, width: 224 },
};

/** What is read from a folder with these files and a model. */
async function wishesOf(files: Record<string, object | string>): Promise<Wishes> {
  await using folder = await temporaryFolder();
  await putModel(folder.path, meansModel(), 'model.onnx');
  for (const [name, content] of Object.entries(files))
    await writeFile(join(folder.path, name), typeof content === 'string' ? content : JSON.stringify(content));
  return (await readModelFolder(folder.path)).wishes;
}

describe('a folder of the Hugging Face hub', () => {
  it('fills in everything by itself', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'nsfw_image_detection');
    await mkdir(join(path, 'onnx'), { recursive: true });
    await putModel(join(path, 'onnx'), meansModel({ batch: 1, sidePx: 16 }), 'model.onnx');
    await putModel(join(path, 'onnx'), meansModel(), 'model_quantized.onnx');
    const config = {
      id2label: { 1: 'nsfw', 0: 'normal', 2: 'Drawn art' },
      problem_type: 'single_label_classification',
    };
    await writeFile(join(path, 'config.json'), JSON.stringify(config));
    const processor = { ...VIT, size: { height: 16, width: 16 } };
    await writeFile(join(path, 'preprocessor_config.json'), JSON.stringify(processor));
    await writeFile(join(path, 'README.md'), '---\nlicense: apache-2.0\ntags:\n- vision\n---\n# A model\n');
    const { manifest } = await importModel({
      path,
      wishes: {},
      modelsFolder: folder.path,
      force: false,
      maxSecondsPerRun: 30,
    });
    expect(manifest).toMatchObject({
      name: 'nsfw_image_detection',
      license: 'apache-2.0',
      preprocess: { widthPx: 16, heightPx: 16, resize: { mode: 'squash' }, kernel: 'linear' },
      prepared: { mean: HALF, std: HALF, scale: 1 / 255, channelOrder: 'rgb', layout: 'nchw' },
      outputs: [{ decode: 'softmax', labels: ['normal', 'nsfw', 'drawn_art'] }],
    } satisfies DeepPartial<ModelManifest>);
  });

  it('tells what is wrong in its files, by name and by key', async () => {
    const told = (processor: object) => wishesOf({ 'preprocessor_config.json': processor });
    await expect(told({ ...VIT, size: { longest_edge: 512 } })).rejects.toThrow(
      /"preprocessor_config\.json" is not as expected:[\s\S]*"shortest_edge" alone[\s\S]*at size[\s\S]*--preset/,
    );
    await expect(told({ ...VIT, image_std: [0.5, 0, 0.5] })).rejects.toThrow(
      /expected number to be >0[\s\S]*at image_std\[1\]/,
    );
    await expect(wishesOf({ 'config.json': { id2label: ['a'] } })).rejects.toThrow(
      /"config\.json" is not as/,
    );
    await expect(wishesOf({ 'config.json': '{' })).rejects.toThrow(/"config\.json" is no JSON/);
  });

  it('is not asked how pictures are preprocessed where a preset tells', async () => {
    await using folder = await temporaryFolder();
    await putModel(folder.path, meansModel(), 'model.onnx');
    const unknown = { image_processor_type: 'FooImageProcessor', do_magic: true };
    await writeFile(join(folder.path, 'preprocessor_config.json'), JSON.stringify(unknown));
    await expect(readModelFolder(folder.path)).rejects.toThrow(/FooImageProcessor/);
    const { wishes } = await readModelFolder(folder.path, { preset: 'zero-one' });
    expect(wishes.resize).toBeUndefined();
  });

  it('is from the hub by the name that its files have, and never by a path', async () => {
    expect(await wishesOf({ 'config.json': { _name_or_path: 'google/vit-base' } })).toMatchObject({
      source: 'google/vit-base',
    });
    const timm = { pretrained_cfg: { hf_hub_id: 'timm/resnet50.a1_in1k', license: 'apache-2.0' } };
    expect(await wishesOf({ 'config.json': timm })).toMatchObject({
      source: 'timm/resnet50.a1_in1k',
      license: 'apache-2.0',
    });
    const local = await wishesOf({ 'config.json': { _name_or_path: '/home/me/export' } });
    expect(local.source).toBe(local.name);
  });

  it('takes several labels at once where it says so', async () => {
    const config = { id2label: { 0: 'a', 1: 'b' }, problem_type: 'multi_label_classification' };
    expect(await wishesOf({ 'config.json': config })).toMatchObject({
      decode: 'sigmoid',
      labels: ['a', 'b'],
    });
  });

  describe('with a pretrained_cfg of timm', () => {
    const told = (pretrained: object) => wishesOf({ 'config.json': { pretrained_cfg: pretrained } });

    it('is read by it', async () => {
      const config = {
        architecture: 'resnet50',
        label_names: ['cat', 'dog'],
        pretrained_cfg: {
          input_size: [3, 288, 288],
          interpolation: 'bilinear',
          crop_pct: 0.95,
          crop_mode: 'center',
          mean: [0.5, 0.5, 0.5],
          std: [0.25, 0.25, 0.25],
        },
      };
      expect(await wishesOf({ 'config.json': config })).toMatchObject({
        heightPx: 288,
        widthPx: 288,
        kernel: 'linear',
        resize: { mode: 'center-crop', shorterSidePx: 303 },
        mean: HALF,
        std: [0.25, 0.25, 0.25],
        labels: ['cat', 'dog'],
      });
    });

    it('has the defaults of timm where it says nothing', async () => {
      expect(await told({})).toMatchObject({
        widthPx: 224,
        kernel: 'cubic',
        resize: { mode: 'center-crop', shorterSidePx: 256 },
        mean: [0.485, 0.456, 0.406],
      });
    });

    it('squashes, and crops of what it squashed where crop_pct is less than 1', async () => {
      const squash = { crop_mode: 'squash', input_size: [3, 224, 288] };
      expect((await told({ ...squash, crop_pct: 1 })).resize).toEqual({ mode: 'squash' });
      expect((await told({ ...squash, crop_pct: 0.9 })).resize).toEqual({
        mode: 'squash-crop',
        scaledWidthPx: 320,
        scaledHeightPx: 248,
      });
    });

    it.each<[object, RegExp]>([
      [{ crop_mode: 'border' }, /crop_mode "border", which is not to be had/],
      [{ input_size: [3, 224, 288] }, /288 × 224 px with crop_mode "center"/],
      [{ input_size: [1, 28, 28] }, /input_size of 1 channels/],
      [{ interpolation: 'random' }, /interpolation "random".*--kernel/],
      [{ input_size: 224 }, /"config\.json" is not as expected:[\s\S]*at pretrained_cfg\.input_size/],
      [{ crop_pct: 0 }, /at pretrained_cfg\.crop_pct/],
    ])('is refused for what is not to be had: %o', async (pretrained, reason) => {
      await expect(told(pretrained)).rejects.toThrow(reason);
    });
  });

  it('is refused without a model, and with several of which none is the plain one', async () => {
    await using folder = await temporaryFolder();
    await expect(readModelFolder(folder.path)).rejects.toThrow(/holds no \.onnx file/);
    await putModel(folder.path, meansModel(), 'a.onnx');
    expect((await readModelFolder(folder.path)).modelPath).toBe(join(folder.path, 'a.onnx'));
    await putModel(folder.path, meansModel(), 'b.onnx');
    await expect(readModelFolder(folder.path)).rejects.toThrow(/holds 2 \.onnx files/);
  });
});

type DeepPartial<T> = T extends object ? { [K in keyof T]?: DeepPartial<T[K]> } : T;
