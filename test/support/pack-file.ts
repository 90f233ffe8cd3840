import { packId, packKey, type RangeId } from '#core/job-layout.ts';
import type { PackMessage } from '#core/messages.ts';
import { encodePack } from '#core/pack.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';

export const JOB = { job: 'job', stage: 'stage', shard: 0 };

/** Writes a pack of images of 2×2 px, all of one gray level each, and gives the message that announces it. */
export async function putPack(
  works: ObjectStore,
  range: number,
  grayLevels: readonly number[],
): Promise<PackMessage> {
  const id: RangeId = { ...JOB, range };
  const { header, body } = encodePack({
    header: {
      schema: 1,
      pack: packId(id),
      preprocessHash: 'p',
      decoderVersion: 'd',
      items: grayLevels.map((_, index) => ({
        index,
        ref: { key: `${range}-${index}`, etag: '', bytes: 1 },
        widthPx: 2,
        heightPx: 2,
        format: 'png',
        contentHash: '0'.repeat(32),
        perceptualHash: null,
        preprocessMs: 0,
      })),
      refused: [],
    },
    heightPx: 2,
    widthPx: 2,
    images: Buffer.from(grayLevels.flatMap((level) => Array<number>(12).fill(level))),
  });
  await works.put(packKey(id), [header, body]);
  return { v: 1, type: 'pack', ...id, bytes: header.length + body.length };
}
