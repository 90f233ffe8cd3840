import { z } from 'zod';
import { Completion } from '#core/completion.ts';
import {
  brokenKey,
  completionKey,
  partKey,
  partPrefix,
  planKey,
  type RangeId,
  requestKey,
} from '#core/job-layout.ts';
import { JobRequest } from '#core/job-request.ts';
import { expectedRanges, Plan } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { UsageRecord } from '#core/usage.ts';
import { readJson } from '../json-object.ts';
import { GivenUp } from './dead-letters.ts';

const BrokenJob = z.strictObject({ reason: z.string(), at: z.iso.datetime() });

/** Where a job stands. */
export type JobState =
  | { kind: 'unknown' }
  | { kind: 'planning'; request: JobRequest }
  | { kind: 'broken'; request: JobRequest; reason: string }
  | { kind: 'running'; request: JobRequest; plan: Plan; progress: JobProgress }
  | { kind: 'complete'; request: JobRequest; plan: Plan; completion: Completion };

/** Of the plan's images: how many have their row, were given up, or are on their way. */
export interface JobProgress {
  readonly done: number;
  readonly givenUp: number;
  readonly left: number;
  /** What was consumed for what was given up. */
  readonly lostUsage: readonly UsageRecord[];
  /** Why a range has no part. */
  reasonOf(range: RangeId): string;
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
  const parts = await partKeys(plan.job, plan.stage.name, works);
  const counts = { done: 0, givenUp: 0, left: 0 };
  for (const range of expectedRanges(plan)) {
    if (parts.has(partKey(range.pack))) counts.done += range.refs;
    else if (givenUp.reasonOf(plan, range) !== undefined) counts.givenUp += range.refs;
    else counts.left += range.refs;
  }
  const lostUsage = givenUp.usage;
  return { ...counts, lostUsage, reasonOf: (range) => givenUp.reasonOf(plan, range) ?? 'it has no part' };
}

/** The keys of all parts of a stage. */
export async function partKeys(job: string, stage: string, works: ObjectStore): Promise<Set<string>> {
  const keys = new Set<string>();
  let cursor: string | undefined;
  do {
    const page = await works.list({
      prefix: partPrefix(job, stage),
      ...(cursor !== undefined && { cursor }),
    });
    for (const { key } of page.objects) keys.add(key);
    cursor = page.next;
  } while (cursor !== undefined);
  return keys;
}
