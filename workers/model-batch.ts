import { SluiceError } from '#core/error.ts';
import { placementOf } from '#core/geometry.ts';
import type { ModelManifest } from '#core/model-manifest.ts';
import type { Pack } from '#core/pack.ts';
import type { EngineBatch, Tensor, TensorInfo } from '#core/ports/engine.ts';
import type { RecycledMemory } from './recycled-memory.ts';

/**
 * The inputs of a model for several packs, one after the other, whose pixels are gone after it. One pack is passed on
 * as it lies in memory; several are joined with one copy each.
 */
export function batchOf(
  packs: readonly Pack[],
  manifest: ModelManifest,
  memory: RecycledMemory,
): EngineBatch {
  return Object.fromEntries(
    manifest.inputs.map((input) => [
      input.name,
      input.from === 'pixels' ? pixelsOf(packs, memory) : contentSizesOf(packs, manifest),
    ]),
  );
}

function pixelsOf(packs: readonly Pack[], memory: RecycledMemory): Tensor {
  const first = packs[0] as Pack;
  const images = packs.reduce((sum, pack) => sum + pack.header.items.length, 0);
  const data = packs.length === 1 ? first.images : joined(packs, memory);
  return { dtype: 'uint8', shape: [images, first.heightPx, first.widthPx, 3], data };
}

function joined(packs: readonly Pack[], memory: RecycledMemory): Uint8Array {
  const data = memory.take(packs.reduce((sum, pack) => sum + pack.images.length, 0));
  let at = 0;
  for (const { images } of packs) {
    at += images.copy(data, at);
    memory.give(images.buffer as ArrayBuffer);
  }
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
