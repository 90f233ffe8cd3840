import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { IsolatedEngine } from '#adapters/isolated-engine.ts';
import type { LoadedModel } from '#adapters/model-folder.ts';
import { sha256Hex } from '#core/canonical-json.ts';
import type { Scores } from '#core/decode/classification.ts';
import { type ImageResult, readOutputs } from '#core/decode/read-outputs.ts';
import { SluiceError } from '#core/error.ts';
import { placementOf, type Size } from '#core/geometry.ts';
import type { ModelManifest } from '#core/model-manifest.ts';
import type { EngineBatch, Tensor } from '#core/ports/engine.ts';
import { readOnnx } from '#models/import/read-onnx.ts';
import { forComparison } from './compare-results.ts';
import { toInput } from './input-tensor.ts';
import { originalGraph } from './original-graph.ts';
import type { ReferenceImage } from './references.ts';

const MAX_SECONDS_PER_RUN = 120;
/** Pixels are copied into the process of the model: so many images at once bound the memory. */
const IMAGES_AT_ONCE = 64;

/** The scores of images as the pipeline gives them; all of them, also where only the highest are kept otherwise. */
export async function scoresOfPrepared(
  model: LoadedModel,
  images: readonly ReferenceImage[],
): Promise<Scores[]> {
  return (await resultsOfPrepared(model, images, 0)).map(({ scores }) => scores);
}

/** The results of images, read {@link forComparison} within `slack`. */
export async function resultsOfPrepared(
  { manifest, modelPath }: LoadedModel,
  images: readonly ReferenceImage[],
  slack: number,
): Promise<ImageResult[]> {
  await using engine = await engineOf(modelPath, manifest.maxBatch ?? 8);
  const results: ImageResult[] = [];
  for (let from = 0; from < images.length; from += IMAGES_AT_ONCE) {
    const some = images.slice(from, from + IMAGES_AT_ONCE);
    results.push(...resultsIn(await engine.run(batchOf(manifest, some)), manifest, some, slack));
  }
  return results;
}

/** What a model is fed with for these images. */
export function batchOf(manifest: ModelManifest, images: readonly ReferenceImage[]): EngineBatch {
  const { widthPx, heightPx } = manifest.preprocess;
  const sizes = images.map(({ source }) => placementOf(source, manifest.preprocess).crop);
  return Object.fromEntries(
    manifest.inputs.map(({ name, from }): [string, Tensor] => [
      name,
      from === 'pixels'
        ? {
            dtype: 'uint8',
            shape: [images.length, heightPx, widthPx, 3],
            data: new Uint8Array(Buffer.concat(images.map(({ pixels }) => pixels))),
          }
        : {
            dtype: 'int32',
            shape: [images.length, 2],
            data: Int32Array.from(sizes.flatMap((crop) => [crop.heightPx, crop.widthPx])),
          },
    ]),
  );
}

/**
 * The results of the model as it was before import, each image by itself.
 *
 * @param inputs the model's own input for each image, where training code saved it; else it is computed.
 * @throws SluiceError `config-invalid` where it is not the model that was imported.
 */
export async function resultsOfOriginal(
  path: string,
  manifest: ModelManifest,
  images: readonly ReferenceImage[],
  inputs: Float32Array<ArrayBuffer>[] | undefined,
): Promise<ImageResult[]> {
  const { prepared, preprocess } = manifest;
  const { model, bytes } = await readOnnx(path);
  if (prepared === undefined || sha256Hex(bytes) !== prepared.originalSha256) {
    throw new SluiceError(
      'config-invalid',
      `"${basename(path)}" is not the model that "${manifest.name}" was imported from (${prepared?.originalSha256 ?? 'it was not imported'}), but ${sha256Hex(bytes)}`,
    );
  }
  const original = originalGraph(model, prepared);
  const folder = await mkdtemp(join(tmpdir(), 'sluice-verify-'));
  try {
    const modelPath = join(folder, 'original.onnx');
    await writeFile(modelPath, original.bytes);
    await using engine = await engineOf(modelPath, 1);
    const { widthPx, heightPx } = preprocess;
    const shape = prepared.layout === 'nchw' ? [1, 3, heightPx, widthPx] : [1, heightPx, widthPx, 3];
    const results: ImageResult[] = [];
    for (const [i, image] of images.entries()) {
      const data = inputs?.[i] ?? toInput(image.pixels, prepared, preprocess);
      const outputs = await engine.run({ [original.input]: { dtype: 'float32', shape, data } });
      results.push(...resultsIn(outputs, manifest, [image], 0));
    }
    return results;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function engineOf(modelPath: string, maxBatch: number): Promise<IsolatedEngine> {
  return IsolatedEngine.load({
    modelPath,
    provider: 'cpu',
    threads: 1,
    maxBatch,
    maxSecondsPerRun: MAX_SECONDS_PER_RUN,
  });
}

function resultsIn(
  outputs: Readonly<Record<string, Tensor>>,
  manifest: ModelManifest,
  images: readonly { readonly source: Size }[],
  slack: number,
): ImageResult[] {
  return readOutputs(
    outputs,
    forComparison(manifest, slack),
    images.map(({ source }) => source),
  );
}
