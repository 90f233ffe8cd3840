import { createHash } from 'node:crypto';
import { tableRows } from '#adapters/parquet-table.ts';
import { type Completion, PartsDigest } from '#core/completion.ts';
import { SluiceError } from '#core/error.ts';
import { parseRegion, rowName } from '#core/image-ref.ts';
import { partKey } from '#core/job-layout.ts';
import { type Plan, plannedImages } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { ahead } from '../ahead.ts';
import { isLiveJob } from '../live/live-job.ts';
import { readPlan, readShard } from '../planning/read-plan.ts';
import { completionOf } from './complete-job.ts';
import { expectedPacks, followingPacks } from './follow-up-packs.ts';
import { partKeys } from './part-keys.ts';

/** What `sluice verify` found. */
export interface Verification {
  readonly completion: Completion;
  /** Everything that is not as the proof says; none, and the results are whole. */
  readonly problems: readonly string[];
  /** What could not be checked any more, and why. */
  readonly unchecked: readonly string[];
}

const PARTS_AHEAD = 16;
const MAX_PROBLEMS = 20;
const STATES: ReadonlySet<unknown> = new Set(['audited', 'unreadable', 'failed']);

/** Checks the results of a complete job against its proof and its plan. @throws SluiceError `job-conflict` before completion. */
export async function verifyJob(job: string, works: ObjectStore): Promise<Verification> {
  const completion = await completionOf(job, works);
  const plan = await readPlan(job, works);
  const problems: string[] = [];
  const unchecked: string[] = [];
  const rows = await checkTables(completion, works, problems);
  checkCounts(completion, rows, problems);
  if (plan === undefined) {
    unchecked.push('the plan is gone: whether each planned image has its row could not be checked');
  } else {
    if (plannedImages(plan) !== completion.planned) {
      problems.push(`the plan has ${plannedImages(plan)} images, the proof ${completion.planned}`);
    }
    const images = completion.stages === undefined ? rows : rows.slice(0, completion.planned);
    await checkRows(plan, images, works, problems, unchecked);
    await checkFollowing(plan, completion, rows, works, problems, unchecked);
    await checkParts(plan, completion, works, problems, unchecked);
  }
  return { completion, problems: problems.slice(0, MAX_PROBLEMS), unchecked };
}

interface Row {
  readonly key: string;
  /** Of a following stage's row. */
  readonly region?: string;
  readonly state: string;
}

async function checkTables(completion: Completion, works: ObjectStore, problems: string[]): Promise<Row[]> {
  const all: Row[] = [];
  for (const table of completion.tables) {
    const body = await bodyOf(table.key, works);
    if (body === undefined) {
      problems.push(`the file ${table.key} is gone`);
      continue;
    }
    if (createHash('sha256').update(body).digest('hex') !== table.sha256) {
      problems.push(`the file ${table.key} has changed since the job was completed`);
      continue;
    }
    const columns = completion.stages === undefined ? ['key', 'state'] : ['key', 'state', 'region'];
    const rows = await tableRows(body, columns);
    if (rows.length !== table.rows)
      problems.push(`${table.key} has ${rows.length} rows, the proof says ${table.rows}`);
    for (const { key, state, region } of rows) {
      all.push({ key: String(key), state: String(state), ...(typeof region === 'string' && { region }) });
    }
  }
  return all;
}

type Counts = Pick<Completion, 'planned' | 'audited' | 'unreadable' | 'failed'>;

function checkCounts(completion: Completion, rows: readonly Row[], problems: string[]): void {
  const { stages } = completion;
  if (stages === undefined) {
    checkStageCounts(completion, rows, '', problems);
    return;
  }
  let at = 0;
  for (const stage of stages) {
    const own = rows.slice(at, at + stage.planned);
    checkStageCounts(stage, own, ` of stage "${stage.stage}"`, problems);
    at += stage.planned;
  }
  if (at !== rows.length) problems.push(`${rows.length} rows, the proof says ${at} at all stages`);
}

function checkStageCounts(counts: Counts, rows: readonly Row[], where: string, problems: string[]): void {
  const { planned, audited, unreadable, failed } = counts;
  if (planned !== audited + unreadable + failed) {
    problems.push(
      `planned ${planned}${where} is not audited ${audited} + unreadable ${unreadable} + failed ${failed}`,
    );
  }
  for (const state of ['audited', 'unreadable', 'failed'] as const) {
    const count = rows.filter((row) => row.state === state).length;
    if (count !== counts[state])
      problems.push(`${count} rows${where} are ${state}, the proof says ${counts[state]}`);
  }
}

/** The rows of a cascade's following stages are those that its parts come to, in their order. */
async function checkFollowing(
  plan: Plan,
  completion: Completion,
  rows: readonly Row[],
  works: ObjectStore,
  problems: string[],
  unchecked: string[],
): Promise<void> {
  if (plan.following === undefined) return;
  let at = completion.planned;
  try {
    for (const stage of plan.following) {
      const parent = completion.stages?.find((one) => one.stage === stage.from?.stage);
      const hadParts = parent !== undefined && parent.audited > 0;
      if (hadParts && (await partKeys(plan.job, parent.stage, works)).size === 0) return expired();
      for await (const { refs } of followingPacks(plan, stage, works)) {
        for (const ref of refs) {
          const row = rows[at++];
          const name =
            row &&
            rowName({ key: row.key, region: row.region === undefined ? undefined : parseRegion(row.region) });
          if (name === rowName(ref)) continue;
          problems.push(`expected the row of "${rowName(ref)}" at place ${at - 1}, found "${name}"`);
          return;
        }
      }
    }
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'object-missing') return expired();
    throw error;
  }
  if (at !== rows.length) problems.push(`${rows.length - at} rows are not planned`);

  function expired(): void {
    unchecked.push(
      'shards or parts have expired: whether each image of the later stages has its row could not be checked',
    );
  }
}

/** The rows are in plan order, after those carried over: so one walk shows that none is missing and none doubled. */
async function checkRows(
  plan: Plan,
  rows: readonly Row[],
  works: ObjectStore,
  problems: string[],
  unchecked: string[],
): Promise<void> {
  const carried = plan.carried?.count ?? 0;
  const keys = new Set(rows.slice(0, carried).map((row) => row.key));
  let at = carried;
  for (const { shard } of plan.shards) {
    const refs = await readShard(plan, shard, works).then(
      (read) => read.refs,
      (error: unknown) => {
        if (error instanceof SluiceError && error.code === 'object-missing') return undefined;
        throw error;
      },
    );
    if (refs === undefined) {
      unchecked.push('shards have expired: whether each planned image has its row could not be checked');
      return;
    }
    for (const ref of refs) {
      const row = rows[at++];
      if (row?.key !== ref.key) {
        problems.push(
          `expected the row of "${ref.key}" at place ${at - 1}, found ${JSON.stringify(row?.key)}`,
        );
        return;
      }
      if (keys.has(ref.key)) problems.push(`"${ref.key}" has two rows`);
      if (!STATES.has(row.state)) problems.push(`"${ref.key}" has no terminal state but "${row.state}"`);
    }
  }
  if (plan.shards.length > 0 && at !== rows.length) problems.push(`${rows.length - at} rows are not planned`);
}

async function checkParts(
  plan: Plan,
  completion: Completion,
  works: ObjectStore,
  problems: string[],
  unchecked: string[],
): Promise<void> {
  if (plan.shards.length === 0 && !isLiveJob(plan.job)) return;
  const digest = new PartsDigest();
  let found = 0;
  const parts = ahead(allParts(plan, works), PARTS_AHEAD, (key) => bodyOf(key, works));
  try {
    for await (const { item: key, result } of parts) {
      if (result !== undefined) found++;
      digest.add(key, result);
    }
  } catch (error) {
    if (!(error instanceof SluiceError) || error.code !== 'object-missing') throw error;
    unchecked.push('what parts hand on has expired: their digest could not be checked');
    return;
  }
  if (found === 0 && completion.parts.count > 0 && completion.failed < completion.planned) {
    unchecked.push('the parts have expired: their digest could not be checked');
  } else if (digest.finish().digest !== completion.parts.digest) {
    problems.push('the parts are not those that the results were made from');
  }
}

/** The keys of the parts that are expected; of a day of the live lane, of those that came. */
async function* allParts(plan: Plan, works: ObjectStore): AsyncGenerator<string> {
  if (isLiveJob(plan.job)) {
    yield* await partKeys(plan.job, plan.stage.name, works);
    return;
  }
  for (const { name } of [plan.stage, ...(plan.following ?? [])]) {
    for await (const { pack } of expectedPacks(plan, name, works)) yield partKey(pack);
  }
}

async function bodyOf(key: string, works: ObjectStore): Promise<Buffer | undefined> {
  try {
    return (await works.get(key)).body;
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'object-missing') return undefined;
    throw error;
  }
}
