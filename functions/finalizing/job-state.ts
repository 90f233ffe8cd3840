import { z } from 'zod';
import { Completion } from '#core/completion.ts';
import { brokenKey, completionKey, packKey, partKey, planKey, requestKey } from '#core/job-layout.ts';
import { JobRequest } from '#core/job-request.ts';
import { type ExpectedPack, expectedRanges, Plan, storedPackOf } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { UsageRecord } from '#core/usage.ts';
import { ahead } from '../ahead.ts';
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

/** Looks at packs that are under way at the same time. */
const LOOKS_AHEAD = 16;

/** Compares the parts that are there with those that the plan expects. */
async function jobProgress(plan: Plan, works: ObjectStore): Promise<JobProgress> {
  const givenUp = await GivenUp.of(plan.job, works);
  const inDoubt: ExpectedPack[] = [];
  const progressOf = async (
    stage: string,
    packs: Iterable<ExpectedPack> | AsyncIterable<ExpectedPack>,
  ): Promise<StageProgress> => {
    const { counts, doubts } = await stageProgress(plan, stage, packs, givenUp, works);
    inDoubt.push(...doubts);
    return counts;
  };
  const first = await progressOf(plan.stage.name, expectedRanges(plan));
  const following: (StageProgress & { stage: string })[] = [];
  let left = first.left;
  for (const { name, from } of plan.following ?? []) {
    if (left > 0 && from !== undefined) continue;
    const progress = await progressOf(name, expectedPacks(plan, name, works));
    following.push({ stage: name, ...progress });
    left += progress.left;
  }
  return {
    ...first,
    following,
    // Asked last of all, since it takes a request for each of them.
    isOver: left === 0 && !(await anyIsStored(plan, inDoubt, works)),
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
): Promise<{ counts: StageProgress; doubts: ExpectedPack[] }> {
  const parts = await partKeys(plan.job, stage, works);
  const doubts: ExpectedPack[] = [];
  const counts = { done: 0, givenUp: 0, left: 0 };
  for await (const expected of packs) {
    if (parts.has(partKey(expected.pack))) counts.done += expected.refs;
    else if (givenUp.reasonOf(expected) !== undefined) {
      counts.givenUp += expected.refs;
      if (givenUp.isInDoubt(expected)) doubts.push(expected);
    } else counts.left += expected.refs;
  }
  return { counts, doubts };
}

/** Listed, and not looked at: who finalizes need not be allowed to read packs. */
async function anyIsStored(plan: Plan, packs: readonly ExpectedPack[], works: ObjectStore): Promise<boolean> {
  const look = async (expected: ExpectedPack): Promise<boolean> =>
    (await works.list({ prefix: packKey(storedPackOf(plan, expected)) })).objects.length > 0;
  for await (const { result: isStored } of ahead(packs, LOOKS_AHEAD, look)) if (isStored) return true;
  return false;
}
