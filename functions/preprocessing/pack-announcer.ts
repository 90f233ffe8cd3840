import type { PackId } from '#core/job-layout.ts';
import { packKey } from '#core/job-layout.ts';
import type { PackMessage } from '#core/messages.ts';
import { type MeantFor, meantFor } from '#core/model-receipt.ts';
import type { MessageQueue } from '#core/ports/message-queue.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { UsageRecord } from '#core/usage.ts';
import type { BuiltPack } from './build-pack.ts';

/** A message's own words around a pack: names, origin, JSON, and some records of usage. */
const ENVELOPE_BYTES = 24 * 1024;

/** How many bytes a pack may have to travel inside a message of so many, as base64. */
export function inlinePackBytes(messageBytes: number): number {
  return Math.max(0, Math.floor(((messageBytes - ENVELOPE_BYTES) * 3) / 4));
}

/** What a pack inside a message has of it, as base64; none, and it is a claim check. */
export function inlineBytes({ inline }: BuiltPack): number {
  return inline === undefined ? 0 : Math.ceil(inline.length / 3) * 4;
}

/**
 * Sends the message for a pack that was built: with the pack inside, or with the claim check for it.
 *
 * @param stage the planned stage that is to see it.
 * @param stages all that see the pack, each of which has a message of its own.
 */
export async function announcePack(
  id: PackId,
  stage: MeantFor,
  origin: PackMessage['origin'],
  built: BuiltPack,
  packs: MessageQueue,
  usage: readonly UsageRecord[],
  stages: readonly string[] = [id.stage],
): Promise<void> {
  const { inline, bytes } = built;
  const pack =
    inline === undefined
      ? { bytes, ...(stages.length > 1 && { stages: [...stages] }) }
      : { inline: Buffer.from(inline.buffer, inline.byteOffset, inline.length).toString('base64') };
  const message: PackMessage = {
    v: 1,
    type: 'pack',
    ...id,
    meantFor: meantFor(stage),
    origin,
    pack,
    usage: [...usage],
  };
  await packs.send([JSON.stringify(message)], { group: id.job });
}

/** The size of a pack that lies in the work store, left there by an earlier try. */
export async function storedPack(id: PackId, works: ObjectStore): Promise<BuiltPack | undefined> {
  const info = await works.head(packKey(id));
  return info && { bytes: info.bytes, images: 0, refused: 0 };
}
