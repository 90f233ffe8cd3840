import { hasCode } from '#core/error.ts';
import { type ImageRef, rowName } from '#core/image-ref.ts';
import { followUpName, type PackId, packIdText, packKey, partKey } from '#core/job-layout.ts';
import type { FollowUpMessage, PackMessage } from '#core/messages.ts';
import { meantFor } from '#core/model-receipt.ts';
import { encodePack, type Pack, type PackItem } from '#core/pack.ts';
import type { Follower } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { HandedOn } from './follow-ups.ts';
import type { RecycledMemory } from './recycled-memory.ts';

/** The pack that a part comes of. */
export interface CutSource {
  readonly message: PackMessage;
  readonly preprocessHash: string;
  /** Gives it once more: the engine took the pixels that it saw. */
  load(): Promise<Pack>;
}

/** What is to be sent once a part is written. */
export interface Announcement {
  readonly message: FollowUpMessage | PackMessage;
  /** The message's pack was stored just now: if nobody announced it, nobody would delete it. */
  readonly isNewPack: boolean;
}

/**
 * Makes the packs of what a part hands on to stages that take pictures in the same way: cut out of the part's own pack, under
 * the names and with the pixels that they would have if each image were decoded again. Everything else, and whatever cannot
 * be cut out, is asked for at the function that decodes.
 *
 * To be called before the part is written: as long as a stage has no part, its pack is there.
 */
export async function cutPacks(
  handedOn: readonly HandedOn[],
  source: CutSource,
  works: ObjectStore,
  memory: RecycledMemory,
): Promise<Announcement[]> {
  const { message } = source;
  const seesTheSame = ({ from, preprocessHash }: Follower): boolean =>
    from.images !== undefined && preprocessHash === source.preprocessHash;
  const whole = handedOn.some(({ follower }) => seesTheSame(follower))
    ? await packIfThere(source)
    : undefined;
  const announcements = await Promise.all(
    handedOn.map(async ({ follower, asked, refs }): Promise<Announcement[]> => {
      // Images are at most as many as in the pack that they come from: they have one range.
      const id: PackId = { job: message.job, stage: follower.name, name: followUpName(message.name, 0) };
      const pack = whole && seesTheSame(follower) ? cutPack(whole, id, refs) : undefined;
      if (pack === undefined) return [{ message: asked, isNewPack: false }];
      if ((await works.head(partKey(id))) !== undefined) return [];
      const file = encodePack(pack);
      const outcome = await works.put(packKey(id), [file.header, file.body], { ifAbsent: true });
      const { shard, parent } = asked;
      const cut: PackMessage = {
        v: 1,
        type: 'pack',
        ...id,
        meantFor: meantFor(follower),
        origin: { lane: 'bulk', bucket: bucketOf(message), shard, range: 0, remakes: 0, parent },
        pack: { bytes: file.header.length + file.body.length },
      };
      return [{ message: cut, isNewPack: outcome === 'written' }];
    }),
  );
  if (whole !== undefined) memory.give(whole.images.buffer as ArrayBuffer);
  return announcements.flat();
}

/** Some images of a pack as a pack of their own; `undefined` where it does not hold these very ones. */
function cutPack(whole: Pack, id: PackId, refs: readonly ImageRef[]): Pack | undefined {
  const rows = new Map(whole.header.items.map(({ ref }, row) => [rowName(ref), row]));
  const rowBytes = whole.heightPx * whole.widthPx * 3;
  const images = Buffer.allocUnsafeSlow(refs.length * rowBytes);
  const items: PackItem[] = [];
  for (const [index, ref] of refs.entries()) {
    const row = rows.get(rowName(ref)) ?? -1;
    const item = whole.header.items[row];
    // What is handed on was found by the first delivery, and its pack may since have been made again.
    if (item === undefined || item.ref.etag !== ref.etag) return undefined;
    whole.images.copy(images, index * rowBytes, row * rowBytes, (row + 1) * rowBytes);
    items.push({ ...item, index, ref });
  }
  const { usage: _, ...header } = whole.header;
  return { ...whole, header: { ...header, pack: packIdText(id), items, refused: [] }, images };
}

/** Another delivery may have come to its end, and deleted the pack: then it has handed on what there is. */
async function packIfThere(source: CutSource): Promise<Pack | undefined> {
  try {
    return await source.load();
  } catch (error) {
    if (hasCode(error, 'object-missing', 'pack-damaged')) return undefined;
    throw error;
  }
}

function bucketOf({ origin }: PackMessage): string | null {
  return origin.lane === 'bulk' ? origin.bucket : origin.image.bucket;
}
