import { join } from 'node:path';
import { loadModel } from '#adapters/model-folder.ts';
import { importModel } from '#models/import/import-model.ts';
import { type DeriveReport, deriveModel } from '#models/precision/derive/derive-model.ts';
import { sharedFolder } from '#test/support/shared-folder.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { atLeast, type BenchResult } from './support/bench.ts';

/**
 * What int8 gains and costs on one CPU thread, for two real MobileNet-v2: time in turns with the float32 model, bytes and
 * best labels, as `sluice models quantize` reports them. Models and photos stand outside the project. `SLUICE_BENCH_PICTURES` may name
 * a folder of other photos: 500 to 1000 that are like those which the models were trained with tell more than our few of all kinds.
 */
export async function quantizeBench(): Promise<BenchResult[]> {
  const models = sharedFolder('models');
  const photos = process.env['SLUICE_BENCH_PICTURES'] ?? sharedFolder('corpus', 'good');
  if (models === undefined || photos === undefined)
    throw new Error('this benchmark needs ../shared, or SLUICE_SHARED_DIR');
  await using folder = await temporaryFolder();
  const results: BenchResult[] = [];
  for (const { name, file, preset, labels } of [
    {
      name: 'nsfwjs',
      file: join(models, 'nsfwjs-mobilenet-v2', 'nsfwjs_mobilenet_v2.onnx'),
      preset: 'zero-one',
      labels: ['drawing', 'hentai', 'neutral', 'porn', 'sexy'],
    },
    {
      name: 'mobilenet-v2',
      file: join(models, 'mobilenet-v2', 'mobilenet_v2_1.0_224_u8w.onnx'),
      preset: 'tf-inception',
      labels: Array.from({ length: 1001 }, (_, i) => `class_${i}`),
    },
  ]) {
    const imported = await importModel({
      path: file,
      wishes: { name, labels },
      preset,
      modelsFolder: folder.path,
      force: false,
      maxSecondsPerRun: 60,
    });
    const report = await deriveModel({
      model: await loadModel(imported.folder),
      imagesFolder: photos,
      maxImages: 1000,
      minTop1: 0,
      force: false,
      destination: { modelsFolder: folder.path, name: `${name}-int8` },
      precision: {
        kind: 'int8',
        target: 'cpu',
        calibrator: { kind: 'percentile', percentile: 99.99 },
        floatLayers: [],
      },
    });
    results.push(...resultsOf(name, report));
  }
  return results;
}

function resultsOf(name: string, { timing, bytes, agreement }: DeriveReport): BenchResult[] {
  return [
    { metric: `${name}: float32`, value: timing.floatMs, unit: 'ms an image' },
    { metric: `${name}: int8`, value: timing.derivedMs, unit: 'ms an image' },
    atLeast(`${name}: float32 / int8, time`, timing.ratio, 1),
    { metric: `${name}: float32 / int8, file`, value: bytes.float / bytes.derived, unit: 'ratio' },
    { metric: `${name}: same best label`, value: agreement.top1, unit: 'share' },
    {
      metric: `${name}: the same where it leads by 0.1`,
      value: agreement.clearTop1 ?? Number.NaN,
      unit: 'share',
    },
  ];
}
