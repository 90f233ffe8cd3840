import { z } from 'zod';
import { type Tally, tallied } from '#adapters/meter.ts';
import { BudgetHold } from '#core/budget.ts';
import { dispatchKey } from '#core/job-layout.ts';
import type { ShardMessage } from '#core/messages.ts';
import type { Plan } from '#core/plan.ts';
import type { MessageQueue } from '#core/ports/message-queue.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { StageUsage, UsageRecord } from '#core/usage.ts';
import { readJson, writeJson } from '../json-object.ts';

/** How far a plan's shards are sent. */
export const Dispatch = z.strictObject({
  sent: z.int().min(0),
  /** What it took to send them. */
  usage: z.array(UsageRecord).optional(),
  /** Where a job has a budget: what was seen at the last look. */
  feeding: z
    .strictObject({
      lookedAt: z.iso.datetime(),
      /** Which parts are in `stages` already, as a RowSet over the plan's ranges. */
      seen: z.base64(),
      stages: z.array(StageUsage),
      budgetUsd: z.number(),
      meteredUsd: z.number(),
      committedUsd: z.number(),
      /** Nothing is under way, and the budget has no room for more. */
      isHeld: z.boolean(),
      /** Why, by how much it was overshot, and how it would go on. Earlier versions left it out. */
      hold: BudgetHold.optional(),
      looks: z.int().min(1).optional(),
      /** What was metered when shards were last sent. */
      meteredAtSendingUsd: z.number().optional(),
    })
    .optional(),
});
export type Dispatch = z.infer<typeof Dispatch>;
/** Messages between two looks at the clock. */
const CHUNK = 1000;
const TIME_TO_WRITE_MS = 20_000;

export interface DispatchPorts {
  readonly works: ObjectStore;
  readonly shards: MessageQueue;
  timeLeftMs?(): number;
}

/**
 * Sends the messages of a plan's shards. A shard that is sent twice does no harm.
 *
 * @returns false when time ran short: call again, and it goes on.
 */
export async function dispatchShards(plan: Plan, ports: DispatchPorts): Promise<boolean> {
  return tallied('plan', (tally) => dispatch(plan, ports, tally));
}

async function dispatch(plan: Plan, ports: DispatchPorts, tally: Tally): Promise<boolean> {
  const { job, shards } = plan;
  const key = dispatchKey(job);
  let { sent, usage = [] } = (await readJson(ports.works, key, Dispatch)) ?? { sent: 0 };
  const before = sent;
  while (sent < shards.length) {
    const from = sent;
    sent = Math.min(shards.length, from + CHUNK);
    await sendShards(plan, from, sent, ports.shards);
    usage = tally.seal({ carried: usage, storedBy: ports.works.putRequest });
    await writeJson(ports.works, key, { sent, usage } satisfies Dispatch);
    tally.confirm();
    if ((ports.timeLeftMs?.() ?? Number.POSITIVE_INFINITY) < TIME_TO_WRITE_MS && sent < shards.length)
      return false;
  }
  // To find that all were sent already was for nothing.
  if (sent > before) tally.stored();
  return true;
}

/** Sends the messages of some shards, by their places in the plan. */
export async function sendShards(
  { job, shards }: Plan,
  from: number,
  to: number,
  queue: MessageQueue,
): Promise<void> {
  const messages = shards
    .slice(from, to)
    .map(({ shard }) =>
      JSON.stringify({ v: 1, type: 'shard', job, shard, remakes: 0 } satisfies ShardMessage),
    );
  if (messages.length > 0) await queue.send(messages, { group: job });
}
