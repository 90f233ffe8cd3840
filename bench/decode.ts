import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { loadModel } from '#adapters/model-folder.ts';
import { OnnxEngine } from '#adapters/onnx-engine.ts';
import { readOutputs } from '#core/decode/read-outputs.ts';
import type { Size } from '#core/geometry.ts';
import type { Tensor } from '#core/ports/engine.ts';
import { preprocessAll } from '#models/verify/references.ts';
import { batchOf } from '#models/verify/run-model.ts';
import { importModels } from '#test/support/imported-models.ts';
import { sharedFolder } from '#test/support/shared-folder.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { atMost, type BenchResult, median, timed } from './support/bench.ts';

/** A head of each kind: scores and boxes that JavaScript reads, one that the graph reduces, and a thousand classes. */
const MODELS = ['ultraface', 'yolox-nano', 'mobilenet-v2'] as const;
const IMAGES = 16;
/** The batch of a GPU: what one image costs does not depend on it, but for what is allocated. */
const BATCH = 256;
const RUNS = 5;
const MAX_SHARE = 0.05;

/** What reading a model's outputs costs, beside running it on one CPU thread. Models and photos stand outside the project. */
export async function decodeBench(): Promise<BenchResult[]> {
  const photos = sharedFolder('corpus', 'good');
  if (photos === undefined) throw new Error('this benchmark needs ../shared, or SLUICE_SHARED_DIR');
  const names = (await readdir(photos)).filter((name) => /\.jpe?g$/i.test(name)).slice(0, IMAGES);
  await using folder = await temporaryFolder();
  await importModels(MODELS, folder.path);
  const results: BenchResult[] = [];
  for (const name of MODELS) {
    const { manifest, modelPath } = await loadModel(join(folder.path, name));
    const images = await preprocessAll(
      names.map((file) => join(photos, file)),
      manifest.preprocess,
    );
    await using engine = await OnnxEngine.load({ modelPath, provider: 'cpu', threads: 1, maxBatch: IMAGES });
    // A run takes the memory of its batch away: each has one of its own.
    const outputs = await engine.run(batchOf(manifest, images));
    const batches = Array.from({ length: RUNS }, () => batchOf(manifest, images));
    const inferMs = await medianMs(RUNS, (i) => engine.run(batches[i]!));
    const tiled = Object.fromEntries(
      Object.entries(outputs).map(([output, tensor]) => [output, tile(tensor, images.length)]),
    );
    const sources = Array.from({ length: BATCH }, (_, i): Size => images[i % images.length]!.source);
    const decodeMs = await medianMs(4 * RUNS, () => readOutputs(tiled, manifest, sources));
    const [infer, decode] = [inferMs / images.length, decodeMs / BATCH];
    results.push(
      { metric: `${name}: inference of an image`, value: infer, unit: 'ms' },
      { metric: `${name}: reading its outputs, batch ${BATCH}`, value: decode, unit: 'ms' },
      { metric: `${name}: images read a second, one thread`, value: 1000 / decode, unit: '1/s' },
      atMost(`${name}: reading, share of inference`, decode / infer, MAX_SHARE),
    );
  }
  return results;
}

/** The same images again and again, up to a batch. */
function tile({ dtype, shape, data }: Tensor, images: number): Tensor {
  const perImage = data.length / images;
  const values = new Float32Array(BATCH * perImage);
  for (let i = 0; i < BATCH; i++) {
    const from = (i % images) * perImage;
    values.set(data.subarray(from, from + perImage) as Float32Array, i * perImage);
  }
  if (dtype !== 'float32') throw new Error(`expected float32 outputs, got ${dtype}`);
  return { dtype, shape: [BATCH, ...shape.slice(1)], data: values };
}

async function medianMs(times: number, work: (i: number) => unknown): Promise<number> {
  const measured: number[] = [];
  for (let i = 0; i < times; i++) measured.push(await timed(() => work(i)));
  return median(measured);
}
