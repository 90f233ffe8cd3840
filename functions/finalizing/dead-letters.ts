import { z } from 'zod';
import { sha256Hex } from '#core/canonical-json.ts';
import { deadPrefix, packIdText } from '#core/job-layout.ts';
import { PackMessage, ShardsMessage } from '#core/messages.ts';
import type { ExpectedPack } from '#core/plan.ts';
import type { MessageQueue } from '#core/ports/message-queue.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { UsageRecord } from '#core/usage.ts';
import { readJson, writeJson } from '../json-object.ts';
import { liveImages } from '../live/live-images.ts';
import { liveJob } from '../live/live-job.ts';

export const LETTER_QUEUES = ['jobs', 'shards', 'events', 'live', 'bulk'] as const;
export type LetterQueue = (typeof LETTER_QUEUES)[number];

/** A message that was given up, where it came from, and why. */
export const DeadLetter = z.strictObject({
  schema: z.literal(1),
  queue: z.enum(LETTER_QUEUES),
  job: z.string(),
  reason: z.string(),
  body: z.string(),
  at: z.iso.datetime(),
});
export type DeadLetter = z.infer<typeof DeadLetter>;

/** Letters of no job: foreign or malformed messages. */
const NO_JOB = 'unknown';
/** A queue of dead letters does not say why a message is in it when SQS itself put it there. */
const NO_REASON = 'it was delivered too often: each time its receiver died or ran out of time';
const RECEIVE_MESSAGES = 10;

const AnyJobMessage = z.object({ job: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/) });

/**
 * Moves dead letters from their queue into the work store, where they can be listed by job, outlive SQS's fourteen days,
 * and be sent again one job at a time. A letter is stored before it leaves the queue.
 *
 * @returns how many were moved.
 */
export async function collectDeadLetters(
  queue: LetterQueue,
  letters: MessageQueue,
  works: ObjectStore,
): Promise<number> {
  let moved = 0;
  for (;;) {
    const leases = await letters.receive({ maxMessages: RECEIVE_MESSAGES, waitMs: 0 });
    if (leases.length === 0) return moved;
    for (const lease of leases) {
      const job = jobOf(lease.body);
      const letter: DeadLetter = {
        schema: 1,
        queue,
        job,
        reason: lease.reason ?? NO_REASON,
        body: lease.body,
        at: new Date().toISOString(),
      };
      await writeJson(works, letterKey(letter), letter);
      await lease.ack();
      moved++;
    }
  }
}

/** The dead letters of a job, each with its key in the work store. */
export async function* deadLetters(
  job: string,
  works: ObjectStore,
): AsyncGenerator<{ key: string; letter: DeadLetter }> {
  let cursor: string | undefined;
  do {
    const page = await works.list({ prefix: deadPrefix(job), ...(cursor !== undefined && { cursor }) });
    for (const { key } of page.objects) {
      const letter = await readJson(works, key, DeadLetter);
      if (letter !== undefined) yield { key, letter };
    }
    cursor = page.next;
  } while (cursor !== undefined);
}

/** A letter is believed over a pack that lies in the store once it is as old as packs may get there. */
const PACKS_KEPT_MS = 24 * 3600 * 1000;

/** Why something was given up, and when that was seen. */
interface Death {
  readonly reason: string;
  readonly atMs: number;
}

/** Which packs of a job were given up, and why: dead ones, all of a dead shard, and all that was to follow on a dead one. */
export class GivenUp {
  /** By shard (at one stage, or at all that see it), or by what follows on which pack; and by range of those. */
  readonly #wholes = new Map<string, Death>();
  readonly #ranges = new Map<string, Death>();
  readonly #packs = new Map<string, Death>();
  /** What was consumed for packs that were given up: for nothing, as it turned out. */
  readonly usage: UsageRecord[] = [];

  static async of(job: string, works: ObjectStore): Promise<GivenUp> {
    const given = new GivenUp();
    for await (const { letter } of deadLetters(job, works)) given.#add(letter);
    return given;
  }

  /** Why the pack will have no part; `undefined` where it is still on its way. */
  reasonOf(expected: ExpectedPack): string | undefined {
    return (this.#packs.get(packIdText(expected.pack)) ?? this.#deathBefore(expected))?.reason;
  }

  /**
   * Whether what died is the message that was to make the pack, and not long ago: it may have been made and announced all
   * the same, before its shard died of another range. Then it lies in the store until its part is written.
   */
  isInDoubt(expected: ExpectedPack, nowMs = Date.now()): boolean {
    if (this.#packs.has(packIdText(expected.pack))) return false;
    const death = this.#deathBefore(expected);
    return death !== undefined && nowMs - death.atMs < PACKS_KEPT_MS;
  }

  /** The death of what was to make the pack. */
  #deathBefore({ pack, parent, shard, range }: ExpectedPack): Death | undefined {
    const wholes =
      parent === undefined ? [shardId(shard), shardId(shard, pack.stage)] : [followUpsId(pack.stage, parent)];
    const deaths = wholes.map((whole) => this.#ranges.get(`${whole} ${range}`) ?? this.#wholes.get(whole));
    return (
      deaths.find((death) => death !== undefined) ??
      // Its part was written, and then it died: nobody may have asked for what follows.
      (parent && this.#packs.get(packIdText(parent)))
    );
  }

  #add({ body, reason, at }: DeadLetter): void {
    const death: Death = { reason, atMs: Date.parse(at) };
    const shards = ShardsMessage.safeParse(parse(body));
    if (shards.success) {
      const { data } = shards;
      const whole =
        data.type === 'shard' ? shardId(data.shard, data.stage) : followUpsId(data.stage, data.parent);
      if (data.ranges === undefined) this.#wholes.set(whole, death);
      for (const range of data.ranges ?? []) this.#ranges.set(`${whole} ${range}`, death);
    }
    const pack = PackMessage.safeParse(parse(body));
    if (!pack.success) return;
    this.#packs.set(packIdText(pack.data), death);
    for (const record of pack.data.usage ?? []) this.usage.push({ ...record, waste: true });
  }
}

function shardId(shard: number, stage?: string): string {
  return stage === undefined ? String(shard) : `${shard} at ${stage}`;
}

function followUpsId(stage: string, parent: { readonly stage: string; readonly name: string }): string {
  return `${stage} of ${parent.stage}/${parent.name}`;
}

/** The same letter has the same key, however often it dies; so have those of one pack, whatever it took to make it. */
function letterKey({ queue, job, body }: DeadLetter): string {
  const pack = PackMessage.safeParse(parse(body));
  const name = pack.success ? packIdText(pack.data) : body;
  return `${deadPrefix(job)}${queue}-${sha256Hex(name).slice(0, 24)}.json`;
}

function jobOf(body: string): string {
  const parsed = AnyJobMessage.safeParse(parse(body));
  if (parsed.success) return parsed.data.job;
  const [image] = liveImages(body) ?? [];
  return image === undefined ? NO_JOB : liveJob(image.at);
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
