import { usageOfPart } from '#adapters/part-file.ts';
import { Completion } from '#core/completion.ts';
import type { MeteredJob } from '#core/cost/job-cost.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { completionKey, dispatchKey, partKey } from '#core/job-layout.ts';
import { expectedRanges } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { type StageUsage, UsageSum } from '#core/usage.ts';
import { ahead } from '../ahead.ts';
import { readJson } from '../json-object.ts';
import { Dispatch } from '../planning/dispatch-shards.ts';
import { readPlan } from '../planning/read-plan.ts';
import { GivenUp } from './dead-letters.ts';
import { partKeys } from './part-keys.ts';
import { workerUsage } from './worker-usage.ts';

const PARTS_AHEAD = 16;
const MAX_DAMAGED_NAMED = 3;
const JOBS_PREFIX = 'jobs/';
const COMPLETION_FILE = completionKey('').slice(JOBS_PREFIX.length);

/**
 * What a job has consumed so far. A complete job says so itself; of any other, the plan and each part are asked.
 *
 * @param stage whose parts a job without a plan has: a day of the live lane that is not over.
 * @throws SluiceError `job-conflict` where there is no such job, or it is not planned yet.
 */
export async function meteredJob(job: string, works: ObjectStore, stage?: string): Promise<MeteredJob> {
  const proof = await readProof(completionKey(job), works);
  const completion = proof === 'damaged' ? undefined : proof;
  if (completion?.usage !== undefined)
    return { ...completeJobUsage(completion), untold: await untoldOf(job, works) };
  const plan = await readPlan(job, works);
  if (plan === undefined && stage !== undefined) {
    const live = await meteredLiveDay(job, stage, works);
    if (live !== undefined) return live;
  }
  if (plan === undefined) {
    throw new SluiceError(
      'job-conflict',
      `there is no job "${job}", or it is not planned yet: see "sluice status ${job}"`,
    );
  }
  const present = await partKeys(job, plan.stage.name, works);
  const ranges = [...expectedRanges(plan)].filter(({ pack }) => present.has(partKey(pack)));
  const images = ranges.reduce((all, { refs }) => all + refs, 0);
  const keys = ranges.map(({ pack }) => partKey(pack));
  // Of a cascade, what its following stages have done so far.
  for (const { name } of plan.following ?? []) keys.push(...(await partKeys(job, name, works)));
  const { sum, damaged } = await sumOfParts(job, keys, works);
  const dispatch = await readJson(works, dispatchKey(job), Dispatch);
  const given = await GivenUp.of(job, works);
  for (const records of [plan.usage, dispatch?.usage, given.usage]) sum.add(records ?? []);
  const usage = sum.finish();
  const notes = [
    ...silentNotes(job, usage.silentParts, usage.parts),
    ...damagedNotes(job, damaged, keys.length),
  ];
  if (proof === 'damaged') {
    notes.push(
      `the proof of ${job} (${completionKey(job)}) is damaged: what is reckoned is what its plan and parts say, without completing it. ` +
        'Delete it, and the job is completed again',
    );
  } else if (completion === undefined) {
    notes.push(
      `${job} is not complete: ${images} of ${plan.images} images have their row, and only those are counted`,
    );
  }
  const untold = await untoldOf(job, works);
  return { job, isComplete: completion !== undefined, images, usage, untold, notes };
}

/** What workers that run have not told yet. What is of other jobs is theirs. */
async function untoldOf(job: string, works: ObjectStore): Promise<StageUsage[]> {
  const { running, gone } = await workerUsage(works);
  const sum = new UsageSum(job);
  sum.add([...running, ...gone].filter((record) => record.job === undefined || record.job === job));
  return sum.finish().stages;
}

async function readProof(key: string, works: ObjectStore): Promise<Completion | 'damaged' | undefined> {
  try {
    return await readJson(works, key, Completion);
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'accounting-broken') return 'damaged';
    throw error;
  }
}

/** Every part is an image. */
async function meteredLiveDay(
  job: string,
  stage: string,
  works: ObjectStore,
): Promise<MeteredJob | undefined> {
  const keys = [...(await partKeys(job, stage, works))];
  if (keys.length === 0) return undefined;
  const { sum, damaged } = await sumOfParts(job, keys, works);
  const notes = [
    ...damagedNotes(job, damaged, keys.length),
    `${job} is not complete: the ${keys.length} images that have their row so far are counted`,
  ];
  return { job, isComplete: false, images: keys.length, usage: sum.finish(), notes };
}

async function sumOfParts(
  job: string,
  keys: readonly string[],
  works: ObjectStore,
): Promise<{ sum: UsageSum; damaged: string[] }> {
  const sum = new UsageSum(job);
  const damaged: string[] = [];
  for await (const { item, result } of ahead(keys, PARTS_AHEAD, (key) => works.get(key))) {
    try {
      sum.addPart(usageOfPart(result.body));
    } catch (error) {
      damaged.push(`${item} (${messageOf(error)})`);
    }
  }
  return { sum, damaged };
}

function damagedNotes(job: string, damaged: readonly string[], parts: number): string[] {
  if (damaged.length === 0) return [];
  const more = damaged.length > MAX_DAMAGED_NAMED ? ', …' : '';
  return [
    `${job}: ${damaged.length} of ${parts} parts are damaged, and what they cost is left out: ` +
      `${damaged.slice(0, MAX_DAMAGED_NAMED).join(', ')}${more}; delete them, and they are made again`,
  ];
}

/** The complete jobs since a time, the earliest first, and which of them are left out and why. */
export async function meteredJobsSince(
  since: Date,
  works: ObjectStore,
): Promise<{ jobs: { completedAt: string; job: MeteredJob }[]; notes: string[] }> {
  const notes: string[] = [];
  const jobs: { completedAt: string; job: MeteredJob }[] = [];
  let cursor: string | undefined;
  do {
    const page = await works.list({ prefix: JOBS_PREFIX, ...(cursor !== undefined && { cursor }) });
    for (const { key, modifiedAt } of page.objects) {
      // A proof is written when its job is complete: an older one need not be read.
      if (!key.endsWith(COMPLETION_FILE) || (modifiedAt ?? since) < since) continue;
      const completion = await readProof(key, works);
      if (completion === 'damaged') {
        notes.push(
          `left out, because its proof is damaged: ${key.slice(JOBS_PREFIX.length, -COMPLETION_FILE.length)}`,
        );
        continue;
      }
      if (completion === undefined || new Date(completion.completedAt) < since) continue;
      jobs.push({
        completedAt: completion.completedAt,
        job:
          completion.usage === undefined
            ? await meteredJob(completion.job, works)
            : completeJobUsage(completion),
      });
    }
    cursor = page.next;
  } while (cursor !== undefined);
  return { jobs: jobs.sort((a, b) => a.completedAt.localeCompare(b.completedAt)), notes };
}

function completeJobUsage({ job, planned, carried, usage, plannedAt, completedAt }: Completion): MeteredJob {
  if (usage === undefined) throw new SluiceError('internal', `the proof of "${job}" has no usage`);
  const notes = silentNotes(job, usage.silentParts, usage.parts);
  const seconds = Math.max(0, (Date.parse(completedAt) - Date.parse(plannedAt)) / 1000);
  return { job, isComplete: true, images: planned - carried, usage, seconds, notes };
}

function silentNotes(job: string, silent: number, parts: number): string[] {
  if (silent === 0) return [];
  return [
    `${job}: ${silent} of ${parts} parts do not say what they took (written by an earlier version, or damaged): left out`,
  ];
}
