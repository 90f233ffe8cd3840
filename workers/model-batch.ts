import { SluiceError } from '#core/error.ts';
import { placementOf } from '#core/geometry.ts';
import type { ModelManifest } from '#core/model-manifest.ts';
import type { Pack } from '#core/pack.ts';
import type { EngineBatch, Tensor, TensorInfo } from '#core/ports/engine.ts';

/**
 * The inputs of a model for several packs, one after the other. One pack is passed on as it lies in memory;
 * several are joined with one copy each.
 */
export function batchOf(packs: readonly Pack[], manifest: ModelManifest): EngineBatch {
  return Object.fromEntries(
    manifest.inputs.map((input) => [
      input.name,
      input.from === 'pixels' ? pixelsOf(packs) : contentSizesOf(packs, manifest),
    ]),
  );
}

function pixelsOf(packs: readonly Pack[]): Tensor {
  const first = packs[0] as Pack;
  const images = packs.reduce((sum, pack) => sum + pack.header.items.length, 0);
  const data = packs.length === 1 ? first.images : joined(packs);
  return { dtype: 'uint8', shape: [images, first.heightPx, first.widthPx, 3], data };
}

function joined(packs: readonly Pack[]): Uint8Array {
  const data = Buffer.allocUnsafeSlow(packs.reduce((sum, pack) => sum + pack.images.length, 0));
  let at = 0;
  for (const pack of packs) at += pack.images.copy(data, at);
  return data;
}

function contentSizesOf(packs: readonly Pack[], manifest: ModelManifest): Tensor {
  const items = packs.flatMap((pack) => pack.header.items);
  const data = new Int32Array(items.length * 2);
  for (const [i, item] of items.entries()) {
    const { crop } = placementOf(item, manifest.preprocess);
    data[2 * i] = crop.heightPx;
    data[2 * i + 1] = crop.widthPx;
  }
  return { dtype: 'int32', shape: [items.length, 2], data };
}

/**
 * The scores of `images` images by name, from the model's outputs.
 *
 * @throws SluiceError `engine-failed` where an output is missing, has another shape, or is not a number: a wrong
 * score must never become a verdict.
 */
export function scoresOf(
  outputs: Readonly<Record<string, Tensor>>,
  manifest: ModelManifest,
  images: number,
): Record<string, number>[] {
  const scores = Array.from({ length: images }, (): Record<string, number> => ({}));
  for (const { name, labels } of manifest.outputs) {
    const tensor = outputs[name];
    if (
      tensor?.dtype !== 'float32' ||
      tensor.shape[0] !== images ||
      tensor.data.length !== images * labels.length
    ) {
      const got = tensor === undefined ? 'nothing' : `${tensor.dtype} [${tensor.shape}]`;
      throw failed(`expected output "${name}" as float32 [${images}, ${labels.length}], got ${got}`);
    }
    for (const [i, of] of scores.entries()) {
      for (const [j, label] of labels.entries()) {
        const value = Number(tensor.data[i * labels.length + j]);
        if (!Number.isFinite(value)) throw failed(`score "${label}" of image ${i} in the batch is ${value}`);
        of[label] = value;
      }
    }
  }
  return scores;
}

/** @throws SluiceError `model-invalid` where the manifest and the loaded model do not speak of the same tensors. */
export function checkModelFits(
  manifest: ModelManifest,
  model: { inputs: readonly TensorInfo[]; outputs: readonly TensorInfo[] },
): void {
  const differ = (
    kind: string,
    stated: readonly { name: string }[],
    actual: readonly { name: string }[],
  ): void => {
    const names = (list: readonly { name: string }[]): string =>
      list
        .map((one) => one.name)
        .sort()
        .join(', ');
    if (names(stated) === names(actual)) return;
    throw new SluiceError(
      'model-invalid',
      `model "${manifest.name}" has the ${kind} ${names(actual)}; its manifest names ${names(stated)}`,
    );
  };
  differ('inputs', manifest.inputs, model.inputs);
  differ('outputs', manifest.outputs, model.outputs);
}

function failed(what: string): SluiceError {
  return new SluiceError('engine-failed', `the model gave no usable scores: ${what}`);
}
