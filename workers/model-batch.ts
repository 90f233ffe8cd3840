import { SluiceError } from '#core/error.ts';
import { placementOf } from '#core/geometry.ts';
import type { ModelManifest } from '#core/model-manifest.ts';
import type { Pack } from '#core/pack.ts';
import type { EngineBatch, InputTensor, TensorInfo } from '#core/ports/engine.ts';

/** The inputs of a model for several packs, one after the other, whose pixels are gone after it. */
export function batchOf(packs: readonly Pack[], manifest: ModelManifest): EngineBatch {
  return Object.fromEntries(
    manifest.inputs.map((input) => [
      input.name,
      input.from === 'pixels' ? pixelsOf(packs) : contentSizesOf(packs, manifest),
    ]),
  );
}

function pixelsOf(packs: readonly Pack[]): InputTensor {
  const { heightPx, widthPx } = packs[0] as Pack;
  const images = packs.reduce((sum, pack) => sum + pack.header.items.length, 0);
  return {
    dtype: 'uint8',
    shape: [images, heightPx, widthPx, 3],
    data: packs.map((pack) => pack.images),
  };
}

function contentSizesOf(packs: readonly Pack[], manifest: ModelManifest): InputTensor {
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
