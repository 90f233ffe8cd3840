import { z } from 'zod';
import type { AuditRecord } from '#core/audit-record.ts';
import type { ImageResult } from '#core/decode/read-outputs.ts';
import { followUpsOf } from '#core/follow-ups.ts';
import type { ImageRef } from '#core/image-ref.ts';
import { followUpsKey, planKey } from '#core/job-layout.ts';
import type { FollowUpMessage, PackMessage } from '#core/messages.ts';
import type { PackHeader } from '#core/pack.ts';
import { EngineFault } from '#core/pack-records.ts';
import { type Follower, FollowUps, followersOf, Plan } from '#core/plan.ts';
import type { MessageQueue } from '#core/ports/message-queue.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { PerJob } from './per-job.ts';

/** The stages that follow on others, and the way to them. */
export interface FollowingStages {
  /** The stages that follow on a stage of a job. */
  of(job: string, stage: string): Promise<readonly Follower[]>;
  /** Asks for the packs of a part's follow-ups, or announces the one that they are in. */
  send(message: FollowUpMessage | PackMessage): Promise<void>;
}

/** What a part hands on to one stage: at least one image, or piece of one. */
export interface HandedOn {
  readonly follower: Follower;
  readonly refs: readonly ImageRef[];
  /** What asks for the packs of it. */
  readonly asked: FollowUpMessage;
}

/**
 * Writes what a part comes to for each stage that follows, before the part itself: an empty list too, since it says that
 * nothing follows. What another delivery wrote stays, even if this one would say something else.
 *
 * @returns what stages are handed that are handed anything.
 */
export async function writeFollowUps(
  message: PackMessage,
  header: PackHeader,
  records: readonly AuditRecord[],
  results: readonly (ImageResult | EngineFault)[],
  stages: FollowingStages,
  works: ObjectStore,
): Promise<HandedOn[]> {
  const { job, stage, name, origin } = message;
  // The live lane's images have no plan that could expect more of them.
  if (origin.lane !== 'bulk') return [];
  const handedOn: HandedOn[] = [];
  for (const follower of await stages.of(job, stage)) {
    const refs = header.items.flatMap((item, i) => {
      const result = results[i];
      if (result === undefined || result instanceof EngineFault) return [];
      // Records stand in the order of the range.
      return followUpsOf(records[item.index] as AuditRecord, result.detections, follower.from);
    });
    const followUps: FollowUps = { schema: 1, job, stage: follower.name, parent: name, refs };
    const key = followUpsKey(job, follower.name, name);
    const outcome = await works.put(key, Buffer.from(JSON.stringify(followUps)), { ifAbsent: true });
    const standing = outcome === 'written' ? followUps : await readFollowUps(works, key);
    for (const asked of messagesOf(standing, message))
      handedOn.push({ follower, refs: standing.refs, asked });
  }
  return handedOn;
}

/** The messages of the follow-ups that stand for a pack: those that were to be sent once its part was written. */
export async function standingFollowUps(
  message: PackMessage,
  stages: FollowingStages,
  works: ObjectStore,
): Promise<FollowUpMessage[]> {
  const { job, stage, name, origin } = message;
  if (origin.lane !== 'bulk') return [];
  const messages: FollowUpMessage[] = [];
  for (const follower of await stages.of(job, stage))
    messages.push(...messagesOf(await readFollowUps(works, followUpsKey(job, follower.name, name)), message));
  return messages;
}

function messagesOf({ stage, refs }: FollowUps, pack: PackMessage): FollowUpMessage[] {
  const { job, origin } = pack;
  if (refs.length === 0 || origin.lane !== 'bulk') return [];
  const parent = { stage: pack.stage, name: pack.name };
  return [{ v: 1, type: 'follow-up', job, stage, parent, shard: origin.shard, remakes: 0 }];
}

async function readFollowUps(works: ObjectStore, key: string): Promise<FollowUps> {
  return FollowUps.parse(JSON.parse((await works.get(key)).body.toString('utf8')));
}

/** Of a plan, what tells which stages follow on which. */
const PlannedFollowing = z.object({ following: Plan.shape.following });

/** The stages of a pipeline's jobs, as their plans have them. */
export function plannedFollowing(works: ObjectStore, queues: HandOnQueues): FollowingStages {
  const plans = new PerJob(async (job) => {
    const { body } = await works.get(planKey(job));
    return PlannedFollowing.parse(JSON.parse(body.toString('utf8')));
  });
  return { of: async (job, stage) => followersOf(await plans.of(job), stage), send: handOnTo(queues) };
}

/** Where the messages go. */
export interface HandOnQueues {
  readonly shards: MessageQueue;
  readonly packs: MessageQueue;
}

/** A pack goes to the workers; anything else is to be preprocessed first. */
export function handOnTo({ shards, packs }: HandOnQueues): FollowingStages['send'] {
  return (message) =>
    (message.type === 'pack' ? packs : shards).send([JSON.stringify(message)], { group: message.job });
}
