import { type PackId, packIdText, packKey, partKey } from '#core/job-layout.ts';
import type { PackMessage } from '#core/messages.ts';
import type { Pack } from '#core/pack.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';

// A pack that several stages see lies in the work store once, under the name of the first of them. Each stage has a message
// of its own, and comes to a part of its own: whatever becomes of one of them is nothing to the others.

/** What the pack of a message is called in the work store. */
export function storedPackId({ job, stage, name, pack }: PackMessage): PackId {
  const [first = stage] = 'inline' in pack ? [] : (pack.stages ?? []);
  return { job, stage: first, name };
}

/** A pack as the stage of its message sees it: under the stage's own name. */
export function seenByStage(pack: Pack, message: PackMessage): Pack {
  return { ...pack, header: { ...pack.header, pack: packIdText(message) } };
}

/**
 * Deletes the pack of a message whose part is written, unless another stage is still to see it. Each stage writes its part
 * before it looks for those of the others, so the last one finds all of them.
 */
export async function releasePack(message: PackMessage, works: ObjectStore): Promise<void> {
  if ('inline' in message.pack) return;
  const others = (message.pack.stages ?? []).filter((stage) => stage !== message.stage);
  const parts = await Promise.all(others.map((stage) => works.head(partKey({ ...message, stage }))));
  if (parts.includes(undefined)) return;
  await works.delete([packKey(storedPackId(message))]);
}
