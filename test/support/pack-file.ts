import { type PackId, packIdText, packKey, rangeName } from '#core/job-layout.ts';
import type { PackMessage } from '#core/messages.ts';
import { encodePack } from '#core/pack.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';

/** The pack of a range of the only shard of the job. */
export function packOf(range: number, stage = 'mean'): PackId {
  return { job: 'job', stage, name: rangeName({ shard: 0, range }) };
}

/** Writes a pack of images of 2×2 px, all of one gray level each, and gives the message that announces it. */
export async function putPack(
  works: ObjectStore,
  range: number,
  grayLevels: readonly number[],
  preprocessHash: string,
): Promise<PackMessage> {
  const id = packOf(range);
  const { header, body } = encodePack({
    header: {
      schema: 1,
      pack: packIdText(id),
      preprocessHash,
      decoderVersion: 'd',
      items: grayLevels.map((_, index) => ({
        index,
        ref: { key: `${range}-${index}`, etag: '', bytes: 1 },
        widthPx: 2,
        heightPx: 2,
        format: 'png',
        contentHash: '0'.repeat(16),
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
  return {
    v: 1,
    type: 'pack',
    ...id,
    origin: { lane: 'bulk', bucket: null, shard: 0, range, remakes: 0 },
    pack: { bytes: header.length + body.length },
  };
}
