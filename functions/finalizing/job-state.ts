import { z } from 'zod';
import { Completion } from '#core/completion.ts';
import { brokenKey, completionKey, partKey, planKey, requestKey } from '#core/job-layout.ts';
import { JobRequest } from '#core/job-request.ts';
import { type ExpectedPack, expectedRanges, Plan } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { UsageRecord } from '#core/usage.ts';
import { readJson } from '../json-object.ts';
import { GivenUp } from './dead-letters.ts';
import { expectedPacks } from './follow-up-packs.ts';
import { partKeys } from './part-keys.ts';

const BrokenJob = z.strictObject({ reason: z.string(), at: z.iso.datetime() });

/** Where a job stands. */
export type JobState =
  | { kind: 'unknown' }
  | { kind: 'planning'; request: JobRequest }
  | { kind: 'broken'; request: JobRequest; reason: string }
  | { kind: 'running'; request: JobRequest; plan: Plan; progress: JobProgress }
  | { kind: 'complete'; request: JobRequest; plan: Plan; completion: Completion };

/** Of the images that a stage is to see: how many have their row, were given up, or are on their way. */
export interface StageProgress {
  readonly done: number;
  readonly givenUp: number;
  readonly left: number;
}

/** The progress of the plan's images: at the first stage, which sees all of them. */
export interface JobProgress extends StageProgress {
  /**
   * The other stages of a cascade: those that see all images, and each other one once nothing is left at those before it, since
   * until then nobody knows how many images it will see.
   */
  readonly following: readonly (StageProgress & { readonly stage: string })[];
  /** Nothing is on its way at any stage. */
  readonly isOver: boolean;
  /** What was consumed for what was given up. */
  readonly lostUsage: readonly UsageRecord[];
  /** Why a pack has no part. */
  reasonOf(expected: ExpectedPack): string;
}

export async function jobState(job: string, works: ObjectStore): Promise<JobState> {
  const request = await readJson(works, requestKey(job), JobRequest);
  if (request === undefined) return { kind: 'unknown' };
  const broken = await readJson(works, brokenKey(job), BrokenJob);
  if (broken !== undefined) return { kind: 'broken', request, reason: broken.reason };
  const plan = await readJson(works, planKey(job), Plan);
  if (plan === undefined) return { kind: 'planning', request };
  const completion = await readJson(works, completionKey(job), Completion);
  if (completion !== undefined) return { kind: 'complete', request, plan, completion };
  return { kind: 'running', request, plan, progress: await jobProgress(plan, works) };
}

/** Compares the parts that are there with those that the plan expects. */
async function jobProgress(plan: Plan, works: ObjectStore): Promise<JobProgress> {
  const givenUp = await GivenUp.of(plan.job, works);
  const first = await stageProgress(plan, plan.stage.name, expectedRanges(plan), givenUp, works);
  const following: (StageProgress & { stage: string })[] = [];
  let left = first.left;
  for (const { name, from } of plan.following ?? []) {
    if (left > 0 && from !== undefined) continue;
    const progress = await stageProgress(plan, name, expectedPacks(plan, name, works), givenUp, works);
    following.push({ stage: name, ...progress });
    left += progress.left;
  }
  return {
    ...first,
    following,
    isOver: left === 0,
    lostUsage: givenUp.usage,
    reasonOf: (expected) => givenUp.reasonOf(expected) ?? 'it has no part',
  };
}

async function stageProgress(
  plan: Plan,
  stage: string,
  packs: Iterable<ExpectedPack> | AsyncIterable<ExpectedPack>,
  givenUp: GivenUp,
  works: ObjectStore,
): Promise<StageProgress> {
  const parts = await partKeys(plan.job, stage, works);
  const counts = { done: 0, givenUp: 0, left: 0 };
  for await (const expected of packs) {
    if (parts.has(partKey(expected.pack))) counts.done += expected.refs;
    else if (givenUp.reasonOf(expected) !== undefined) counts.givenUp += expected.refs;
    else counts.left += expected.refs;
  }
  return counts;
}
