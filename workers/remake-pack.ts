import type { FollowUpMessage, PackMessage, ShardMessage } from '#core/messages.ts';
import type { MessageQueue } from '#core/ports/message-queue.ts';

/** Asks for a pack again that is gone or damaged, at the function that made it. */
export async function remakePack(
  { job, stage, origin }: PackMessage,
  queues: { readonly shards: MessageQueue; readonly events: MessageQueue },
): Promise<void> {
  if (origin.lane === 'live') {
    const image = { ...origin.image, remakes: origin.image.remakes + 1 };
    await queues.events.send([JSON.stringify(image)]);
    return;
  }
  const { shard, range, parent } = origin;
  const again = { v: 1 as const, job, shard, ranges: [range], remakes: origin.remakes + 1 };
  const message: ShardMessage | FollowUpMessage =
    parent === undefined
      ? { ...again, type: 'shard', stage }
      : { ...again, type: 'follow-up', stage, parent };
  await queues.shards.send([JSON.stringify(message)]);
}
