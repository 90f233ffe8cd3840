import type { PackMessage, ShardMessage } from '#core/messages.ts';
import type { MessageQueue } from '#core/ports/message-queue.ts';

/** Asks for a pack again that is gone or damaged, at the function that made it. */
export async function remakePack(
  { job, origin }: PackMessage,
  queues: { readonly shards: MessageQueue; readonly events: MessageQueue },
): Promise<void> {
  if (origin.lane === 'live') {
    const image = { ...origin.image, remakes: origin.image.remakes + 1 };
    await queues.events.send([JSON.stringify(image)]);
    return;
  }
  const { shard, range, remakes } = origin;
  const message: ShardMessage = { v: 1, type: 'shard', job, shard, ranges: [range], remakes: remakes + 1 };
  await queues.shards.send([JSON.stringify(message)]);
}
