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

const preprocessed = (processor: object) => wishesOf({ 'preprocessor_config.json': processor });

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

  it('scales both sides where its processor names height and width', async () => {
    expect(await preprocessed(VIT)).toMatchObject({
      widthPx: 224,
      heightPx: 224,
      resize: { mode: 'squash' },
    });
  });

  it('scales the shorter side and crops where its processor does', async () => {
    const clip = {
      ...VIT,
      do_center_crop: true,
      crop_size: { height: 224, width: 224 },
      size: { shortest_edge: 256 },
      resample: 3,
    };
    expect(await preprocessed(clip)).toMatchObject({
      widthPx: 224,
      heightPx: 224,
      resize: { mode: 'center-crop', shorterSidePx: 256 },
      kernel: 'cubic',
    });
  });

  it('crops a share as ConvNeXT does, but not from 384 px on', async () => {
    const small = { ...VIT, size: { shortest_edge: 224 }, crop_pct: 0.875, resample: 3 };
    expect(await preprocessed(small)).toMatchObject({
      widthPx: 224,
      resize: { mode: 'center-crop', cropFraction: 0.875 },
    });
    expect(await preprocessed({ ...small, size: { shortest_edge: 384 } })).toMatchObject({
      resize: { mode: 'squash' },
    });
  });

  it('leaves levels alone where its processor neither rescales nor normalizes', async () => {
    const wishes = await preprocessed({ ...VIT, do_rescale: false, do_normalize: false });
    expect(wishes).toMatchObject({ scale: 1, mean: [0, 0, 0], std: [1, 1, 1] });
  });

  it('is refused where it wants a kernel that is not to be had', async () => {
    await expect(preprocessed({ ...VIT, resample: 4 })).rejects.toThrow(
      /resample 4 \(box or Hamming\).*--kernel/,
    );
  });

  it('takes that kernel from a flag, and asks how to resize where both sides are scaled before a crop', async () => {
    await using folder = await temporaryFolder();
    await putModel(folder.path, meansModel(), 'model.onnx');
    const deit = {
      ...VIT,
      resample: 4,
      do_center_crop: true,
      crop_size: 224,
      size: { height: 256, width: 256 },
    };
    await writeFile(join(folder.path, 'preprocessor_config.json'), JSON.stringify(deit));
    const { wishes } = await readModelFolder(folder.path, { kernel: 'linear' });
    expect(wishes).toMatchObject({ kernel: 'linear', widthPx: 224 });
    expect(wishes.resize).toBeUndefined();
  });

  it('means the shorter side by a bare number where it crops', async () => {
    const old = { ...VIT, do_center_crop: true, crop_size: 224, size: 256 };
    expect(await preprocessed(old)).toMatchObject({
      widthPx: 224,
      resize: { mode: 'center-crop', shorterSidePx: 256 },
    });
  });

  it('takes several labels at once where it says so', async () => {
    const config = { id2label: { 0: 'a', 1: 'b' }, problem_type: 'multi_label_classification' };
    expect(await wishesOf({ 'config.json': config })).toMatchObject({
      decode: 'sigmoid',
      labels: ['a', 'b'],
    });
  });

  it('is read by its pretrained_cfg where it is one of timm', async () => {
    const config = {
      architecture: 'resnet50',
      label_names: ['cat', 'dog'],
      pretrained_cfg: {
        input_size: [3, 224, 288],
        interpolation: 'bicubic',
        crop_pct: 0.95,
        crop_mode: 'center',
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
      },
    };
    expect(await wishesOf({ 'config.json': config })).toMatchObject({
      heightPx: 224,
      widthPx: 288,
      kernel: 'cubic',
      resize: { mode: 'center-crop', cropFraction: 0.95 },
      mean: [0.485, 0.456, 0.406],
      labels: ['cat', 'dog'],
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
