import { z } from 'zod';
import { dispatchKey } from '#core/job-layout.ts';
import type { ShardMessage } from '#core/messages.ts';
import type { Plan } from '#core/plan.ts';
import type { MessageQueue } from '#core/ports/message-queue.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { readJson, writeJson } from '../json-object.ts';

const Dispatch = z.strictObject({ sent: z.int().min(0) });
/** Messages between two looks at the clock. */
const CHUNK = 1000;
const TIME_TO_WRITE_MS = 20_000;

/**
 * Sends the messages of a plan's shards. A shard that is sent twice does no harm.
 *
 * @returns false when time ran short: call again, and it goes on.
 */
export async function dispatchShards(
  plan: Plan,
  ports: { works: ObjectStore; shards: MessageQueue; timeLeftMs?: () => number },
): Promise<boolean> {
  const { job, shards } = plan;
  const key = dispatchKey(job);
  let sent = (await readJson(ports.works, key, Dispatch))?.sent ?? 0;
  while (sent < shards.length) {
    const messages = shards
      .slice(sent, sent + CHUNK)
      .map(({ shard }) =>
        JSON.stringify({ v: 1, type: 'shard', job, shard, remakes: 0 } satisfies ShardMessage),
      );
    await ports.shards.send(messages, { group: job });
    sent += messages.length;
    await writeJson(ports.works, key, { sent });
    if ((ports.timeLeftMs?.() ?? Number.POSITIVE_INFINITY) < TIME_TO_WRITE_MS && sent < shards.length)
      return false;
  }
  return true;
}
