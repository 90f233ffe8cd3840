import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelManifest } from '#core/model-manifest.ts';
import {
  optimumClassifier,
  torchvisionClassifier,
  ultralyticsDetector,
} from '#test/support/export-stand-ins.ts';
import { sluiceWith } from '#test/support/sluice-command.ts';
import { syntheticImage } from '#test/support/synthetic-image.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const COCO = Array.from({ length: 80 }, (_, i) => `thing ${i}`);

/** What the hub has of Falconsai/nsfw_image_detection. */
const HUB = {
  'config.json': {
    _name_or_path: 'google/vit-base-patch16-224-in21k',
    architectures: ['ViTForImageClassification'],
    id2label: { 0: 'normal', 1: 'nsfw' },
    image_size: 224,
    model_type: 'vit',
    problem_type: 'single_label_classification',
  },
  'preprocessor_config.json': {
    do_normalize: true,
    do_rescale: true,
    do_resize: true,
    image_mean: [0.5, 0.5, 0.5],
    image_processor_type: 'ViTImageProcessor',
    image_std: [0.5, 0.5, 0.5],
    resample: 2,
    rescale_factor: 1 / 255,
    size: { height: 224, width: 224 },
  },
};

/** The commands of a section of the guide, without those of other programs. */
async function commandsOf(title: string): Promise<string[][]> {
  const guide = await readFile(new URL('../../docs/models.md', import.meta.url), 'utf8');
  const [, section = ''] = guide.split(new RegExp(`^#+ ${title}$`, 'm'));
  const [own = ''] = section.split(/^#+ /m);
  return [...own.matchAll(/^\$ sluice (.*)$/gm)].map(([, command = '']) =>
    (command.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replace(/^"|"$/g, '')),
  );
}

describe('the commands of the guide to models work as written', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  const put = (name: string, content: Uint8Array | string) => writeFile(join(folder.path, name), content);

  beforeAll(async () => {
    folder = await temporaryFolder();
    for (const name of ['nsfw', 'photos']) await mkdir(join(folder.path, name));
    await put('nsfw/model.onnx', optimumClassifier(2));
    for (const [name, content] of Object.entries(HUB)) await put(`nsfw/${name}`, JSON.stringify(content));
    await put('resnet50.onnx', torchvisionClassifier(1000));
    await put('imagenet.txt', Array.from({ length: 1000 }, (_, i) => `class ${i}`).join('\n'));
    await put('yolo11n.onnx', ultralyticsDetector(COCO));
    const { widthPx, heightPx, data } = syntheticImage(320, 240, 1);
    await sharp(data, { raw: { width: widthPx, height: heightPx, channels: 3 } })
      .jpeg()
      .toFile(join(folder.path, 'photos', 'street.jpg'));
  });
  afterAll(() => folder?.[Symbol.asyncDispose]());

  /** Runs the commands of a section. @returns what they print. */
  async function ran(title: string): Promise<string[]> {
    const printed: string[] = [];
    const commands = await commandsOf(title);
    expect(commands.length).toBeGreaterThan(0);
    for (const command of commands) {
      const { exitCode, stdout, stderr } = await sluiceWith({ cwd: folder.path }, ...command).result;
      expect(exitCode, `sluice ${command.join(' ')}\n${stderr}`).toBe(0);
      printed.push(stdout);
    }
    return printed;
  }

  async function manifestOf(name: string): Promise<ModelManifest> {
    return JSON.parse(
      await readFile(join(folder.path, 'models', name, 'model.json'), 'utf8'),
    ) as ModelManifest;
  }

  it('a classifier from the Hugging Face hub', async () => {
    await ran('A classifier from the Hugging Face hub');
    expect(await manifestOf('nsfw')).toMatchObject({
      license: 'apache-2.0',
      source: 'Falconsai/nsfw_image_detection',
      preprocess: { widthPx: 224, heightPx: 224, resize: { mode: 'squash' }, kernel: 'linear' },
      prepared: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5], layout: 'nchw' },
      outputs: [{ decode: 'softmax', labels: ['normal', 'nsfw'] }],
      policy: { rules: [{ check: 'nsfw', verdict: 'review' }] },
    });
  });

  it('a ResNet from torchvision', async () => {
    await ran('A ResNet from torchvision');
    const manifest = await manifestOf('resnet50');
    expect(manifest.maxBatch).toBeUndefined();
    expect(manifest).toMatchObject({
      preprocess: { resize: { mode: 'shorter-side+center-crop', shorterSidePx: 256 } },
      outputs: [{ decode: 'softmax', topK: 5 }],
    });
  });

  it('a YOLO from Ultralytics', async () => {
    const [, explained = ''] = await ran('A YOLO from Ultralytics');
    expect(await manifestOf('yolo11n')).toMatchObject({
      preprocess: { widthPx: 640, heightPx: 640, resize: { mode: 'letterbox', align: 'center' } },
      detector: { head: { kind: 'anchors' }, labels: expect.arrayContaining(['thing_79']) },
    });
    expect(explained).toMatch(/thing_\d+ .*\d/);
  });
});
