import { type ImageResult, readOutputs } from '#core/decode/read-outputs.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import type { ModelManifest } from '#core/model-manifest.ts';
import type { Pack } from '#core/pack.ts';
import { EngineFault } from '#core/pack-records.ts';
import type { Engine } from '#core/ports/engine.ts';
import { batchOf } from './model-batch.ts';
import type { RecycledMemory } from './recycled-memory.ts';

/** With more images at fault than this in one pack, it is not the images. */
const MAX_FAULTS = 8;

/** The results of all items of some packs, one after the other, from one run of the model, which takes their pixels. */
export async function inferPacks(
  packs: readonly Pack[],
  manifest: ModelManifest,
  engine: Engine,
  memory: RecycledMemory,
): Promise<ImageResult[]> {
  const filled = packs.filter((pack) => pack.header.items.length > 0);
  const items = filled.flatMap((pack) => pack.header.items);
  if (items.length === 0) return [];
  const outputs = await engine.run(batchOf(filled, manifest, memory), {
    recycle: (used) => memory.give(used),
  });
  return readOutputs(outputs, manifest, items);
}

/**
 * The results of a pack that the model failed on, found by halving: the images that it fails on stand alone in the
 * end, each with the reason instead of a result; all others get theirs.
 *
 * @param reload gives the pack afresh, since every run takes its pixels away.
 * @throws SluiceError `engine-failed` where the model fails on a blank picture too, or on too many: then it is the
 * model that is broken, not the images.
 */
export async function inferByHalves(
  reload: () => Promise<Pack>,
  manifest: ModelManifest,
  engine: Engine,
  memory: RecycledMemory,
): Promise<(ImageResult | EngineFault)[]> {
  const pack = await reload();
  const results = new Array<ImageResult | EngineFault>(pack.header.items.length);
  let faults = 0;
  const infer = async (from: number, to: number): Promise<void> => {
    try {
      const inferred = await inferPacks([sliceOf(pack, from, to)], manifest, engine, memory);
      for (const [i, result] of inferred.entries()) results[from + i] = result;
    } catch (error) {
      if (error instanceof SluiceError && error.code === 'engine-unavailable') throw error;
      if (to - from === 1) {
        if (++faults > MAX_FAULTS) throw error;
        results[from] = new EngineFault(messageOf(error));
        return;
      }
      const middle = (from + to) >> 1;
      await infer(from, middle);
      await infer(middle, to);
    }
  };
  await infer(0, results.length);
  // A model that fails on everything must not make rows out of its own fault.
  if (faults > 0) await inferPacks([blank(sliceOf(pack, 0, 1))], manifest, engine, memory);
  return results;
}

/** Some items of a pack, with pixels of their own: the engine may take them. */
export function sliceOf(pack: Pack, from: number, to: number): Pack {
  const rowBytes = pack.heightPx * pack.widthPx * 3;
  const images = Buffer.allocUnsafeSlow((to - from) * rowBytes);
  pack.images.copy(images, 0, from * rowBytes, to * rowBytes);
  return {
    ...pack,
    header: { ...pack.header, items: pack.header.items.slice(from, to), refused: [] },
    images,
  };
}

function blank(pack: Pack): Pack {
  pack.images.fill(128);
  return pack;
}
