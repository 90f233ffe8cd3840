import { z } from 'zod';
import { SluiceError } from '#core/error.ts';
import type { PixelCandidate } from '#core/job/job-findings.ts';
import { comparedPixelsKey } from '#core/job-layout.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { readJson, writeJson } from '../json-object.ts';

/** How pictures are compared in full. */
export interface PixelPorts {
  /** The hash of the whole picture of an image as it was audited; null where there is none to be had. */
  hashOf(image: { readonly key: string; readonly etag: string }): Promise<string | null>;
  /** Of all images of the job; left out, as many as there are. */
  readonly maxImages?: number;
  /** Whether no more are to be begun. What is done is kept for the next try. */
  isOutOfTime(): boolean;
}

/** Candidates whose hashes lie in one object of the work store. */
const BATCH_IMAGES = 64;

const Batch = z.strictObject({
  schema: z.literal(1),
  images: z.array(z.strictObject({ key: z.string(), etag: z.string(), hash: z.string().nullable() })),
});

/**
 * The hashes of candidates' whole pictures, by position. Batch k holds those of the candidates `[64 k, 64 (k + 1))`, so what an
 * earlier try has come to is taken from there, and two tries at once write the same.
 *
 * @param candidates of the job; they follow from its parts.
 * @throws SluiceError `aborted` where time ran out before all were compared; the next try goes on from there.
 */
export async function comparePixels(
  job: string,
  candidates: readonly PixelCandidate[],
  works: ObjectStore,
  ports: PixelPorts,
): Promise<Map<number, string>> {
  const hashes = new Map<number, string>();
  const wanted = candidates.slice(0, ports.maxImages);
  for (let from = 0; from < wanted.length; from += BATCH_IMAGES) {
    const batch = wanted.slice(from, from + BATCH_IMAGES);
    const key = comparedPixelsKey(job, from / BATCH_IMAGES);
    const known = await readJson(works, key, Batch);
    const isKnown =
      known?.images.length === batch.length &&
      batch.every(({ key, etag }, i) => known.images[i]?.key === key && known.images[i]?.etag === etag);
    const images = isKnown ? known.images : await hashed(batch, ports);
    if (!isKnown) await writeJson(works, key, { schema: 1, images } satisfies z.infer<typeof Batch>);
    for (const [i, { hash }] of images.entries())
      if (hash !== null) hashes.set((batch[i] as PixelCandidate).position, hash);
  }
  return hashes;
}

async function hashed(
  batch: readonly PixelCandidate[],
  ports: PixelPorts,
): Promise<z.infer<typeof Batch>['images']> {
  if (ports.isOutOfTime())
    throw new SluiceError('aborted', 'time ran out while pictures were compared', { retryable: true });
  return Promise.all(
    batch.map(async ({ key, etag, pixelHash }) => ({
      key,
      etag,
      hash: pixelHash ?? (await ports.hashOf({ key, etag })),
    })),
  );
}
