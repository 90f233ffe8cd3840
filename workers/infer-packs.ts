import { type ImageResult, readOutputs } from '#core/decode/read-outputs.ts';
import { hasCode, messageOf } from '#core/error.ts';
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
  const outputs = await engine.run(batchOf(filled, manifest), {
    recycle: (used) => memory.give(used),
  });
  return readOutputs(outputs, manifest, items);
}

/**
 * The results of a pack that the model failed on, piece by piece: the images that it fails on stand alone in the end,
 * each with the reason instead of a result; all others get theirs. Pieces are halves, which takes the fewest runs; where
 * the engine was lost they are single images, since every run that loses it takes its whole time limit.
 *
 * @param reload gives the pack afresh, since every run takes its pixels away.
 * @param infer the results of all items of some packs.
 * @param failure what became of the run that the pack was in.
 * @throws SluiceError `engine-failed` or `engine-lost` where the model fails on a blank picture too, or on too many: then
 * it is the model that is broken, not the images. Of an engine that takes no run any more, what it says.
 */
export async function inferPiecemeal(
  reload: () => Promise<Pack>,
  infer: (packs: readonly Pack[]) => Promise<ImageResult[]>,
  failure: unknown,
): Promise<(ImageResult | EngineFault)[]> {
  const pack = await reload();
  const results = new Array<ImageResult | EngineFault>(pack.header.items.length);
  let faults = 0;
  const inferSpan = async ([from, to]: Span): Promise<void> => {
    try {
      const inferred = await infer([sliceOf(pack, from, to)]);
      for (const [i, result] of inferred.entries()) results[from + i] = result;
    } catch (error) {
      if (hasCode(error, 'engine-unavailable', 'engine-given-up')) throw error;
      if (to - from > 1) {
        for (const piece of pieces([from, to], error)) await inferSpan(piece);
        return;
      }
      if (++faults > MAX_FAULTS) throw error;
      results[from] = new EngineFault(messageOf(error));
    }
  };
  const whole: Span = [0, results.length];
  for (const piece of hasCode(failure, 'engine-lost') ? pieces(whole, failure) : [whole])
    await inferSpan(piece);
  // A model that fails on everything must not make rows out of its own fault.
  if (faults > 0) await infer([blank(sliceOf(pack, 0, 1))]);
  return results;
}

type Span = readonly [from: number, to: number];

function pieces([from, to]: Span, failure: unknown): Span[] {
  if (hasCode(failure, 'engine-lost'))
    return Array.from({ length: to - from }, (_, i): Span => [from + i, from + i + 1]);
  const middle = (from + to) >> 1;
  return [
    [from, middle],
    [middle, to],
  ];
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
