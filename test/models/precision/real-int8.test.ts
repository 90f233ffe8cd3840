import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel } from '#adapters/model-folder.ts';
import { importModel } from '#models/import/import-model.ts';
import { agreementOf } from '#models/precision/derive/compare-models.ts';
import { type DeriveReport, deriveModel } from '#models/precision/derive/derive-model.ts';
import { sampleImages } from '#models/precision/derive/sample-images.ts';
import { scoresOfPrepared } from '#models/verify/run-model.ts';
import { NEEDS_SHARED, sharedFolder } from '#test/support/shared-folder.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { toPng, variationsOf } from '#test/support/variations.ts';

const models = sharedFolder('models');
const corpus = sharedFolder('corpus', 'good');
const hasAll = models !== undefined && corpus !== undefined;

/** Variations that a photo may well have, of those that are graded up to ruin. */
const VARIATIONS = ['brightness ×0.6', 'saturation ×0.2', 'blurred by 0.005 of its size'];
const SIDE_PX = 400;

describe.skipIf(!hasAll)(`real models in int8 ${hasAll ? '' : NEEDS_SHARED}`, () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let photos: string;

  beforeAll(async () => {
    folder = await temporaryFolder();
    photos = join(folder.path, 'photos');
    await mkdir(photos);
    for (const name of await readdir(corpus as string)) {
      if (!/\.(jpe?g|png|webp|tif)$/i.test(name)) continue;
      const { data, info } = await sharp(join(corpus as string, name))
        .rotate()
        .resize(SIDE_PX, SIDE_PX, { fit: 'inside' })
        .flatten({ background: 'white' })
        .toColourspace('srgb')
        .raw()
        .toBuffer({ resolveWithObject: true });
      if (info.channels !== 3) continue;
      const image = { widthPx: info.width, heightPx: info.height, data: new Uint8Array(data) };
      const varied = (await variationsOf(image)).filter((one) => VARIATIONS.includes(one.name));
      for (const [i, one] of [image, ...varied.map((variation) => variation.image)].entries())
        await writeFile(join(photos, `${name}-${i}.png`), await toPng(one));
    }
  }, 300_000);
  afterAll(() => folder?.[Symbol.asyncDispose]());

  /** Quantizes for a CPU, and compares on all photos and their variations. */
  async function int8(name: string, file: string, preset: string, labels: string[]) {
    const { folder: imported } = await importModel({
      path: join(models as string, file),
      wishes: { labels, name },
      preset,
      modelsFolder: folder.path,
      force: false,
      maxSecondsPerRun: 60,
    });
    const model = await loadModel(imported);
    const report: DeriveReport = await deriveModel({
      model,
      imagesFolder: photos,
      maxImages: 100,
      minTop1: 0,
      force: false,
      destination: { modelsFolder: folder.path, name: `${name}-int8` },
      precision: {
        kind: 'int8',
        target: 'cpu',
        calibrator: { kind: 'max' },
        floatLayers: [],
      },
    });
    const { images } = await sampleImages(photos, model.manifest.preprocess, 1000);
    const derived = await loadModel(report.written as string);
    const [expected, got] = [await scoresOfPrepared(model, images), await scoresOfPrepared(derived, images)];
    return { report, agreement: agreementOf(model.manifest, images, expected, got) };
  }

  it('nsfwjs keeps 98 % of the best labels that are clear, in less than a third of the bytes', async () => {
    const { report, agreement } = await int8(
      'nsfwjs',
      'nsfwjs-mobilenet-v2/nsfwjs_mobilenet_v2.onnx',
      'zero-one',
      [...['drawing', 'hentai', 'neutral', 'porn', 'sexy']],
    );
    expect(agreement.images).toBeGreaterThan(100);
    expect(agreement.clearTop1).toBeGreaterThanOrEqual(0.98);
    expect(agreement.top1).toBeGreaterThanOrEqual(0.97);
    expect(report.bytes.derived).toBeLessThan(report.bytes.float / 3);
  }, 300_000);

  // Of 1001 labels the best two are often as good as each other, and then eight bits decide between them.
  it('mobilenet-v2 keeps 98 % of the best labels that are clear, and nine in ten of all', async () => {
    const { agreement } = await int8(
      'mobilenet-v2',
      'mobilenet-v2/mobilenet_v2_1.0_224_u8w.onnx',
      'tf-inception',
      [...Array.from({ length: 1001 }, (_, i) => `class_${i}`)],
    );
    expect(agreement.clearImages).toBeGreaterThan(50);
    expect(agreement.clearTop1).toBeGreaterThanOrEqual(0.98);
    expect(agreement.top1).toBeGreaterThanOrEqual(0.9);
  }, 300_000);
});
