import { type Tally, tallied } from '#adapters/meter.ts';
import { Completion } from '#core/completion.ts';
import { SluiceError } from '#core/error.ts';
import { completionKey, dispatchKey, latestKey, openKey } from '#core/job-layout.ts';
import { type JobRequest, seriesOf } from '#core/job-request.ts';
import { type ExpectedPack, type Plan, plannedImages } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { type JobRules, rulesHash } from '#core/stages.ts';
import type { Summary } from '#core/summary.ts';
import type { UsageRecord } from '#core/usage.ts';
import { readJson, writeJson } from '../json-object.ts';
import { Dispatch } from '../planning/dispatch-shards.ts';
import { LatestJob } from '../planning/planner.ts';
import type { ResultLayout } from './audit-outputs.ts';
import { type FinalizePorts, finalizeJob } from './finalize-job.ts';
import { workerUsage } from './worker-usage.ts';

export interface CompleteJobOptions extends JobRules {
  readonly softwareVersion: string;
  readonly tableFileBytes: number;
}

export interface CompleteJobPorts {
  readonly works: ObjectStore;
  /** Why a pack has no part. */
  reasonOf(expected: ExpectedPack): string;
  thumbnail: FinalizePorts['thumbnail'];
  readonly pixels?: FinalizePorts['pixels'];
  /** What was consumed and is in no part. */
  readonly lostUsage?: readonly UsageRecord[];
  records?: FinalizePorts['records'];
  readonly following?: FinalizePorts['following'];
}

/** Where the results of jobs on S3 lie in the work store. */
export const RESULTS_PREFIX = 'results/';

/**
 * Finalizes a job whose ranges have all come to an end, and writes the proof of it. To do it twice writes the same
 * results again.
 */
export async function completeJob(
  plan: Plan,
  request: Pick<JobRequest, 'source' | 'filter'> | undefined,
  options: CompleteJobOptions,
  ports: CompleteJobPorts,
): Promise<{ summary: Summary; completion: Completion }> {
  return tallied('finalize', (tally) => complete(plan, request, options, ports, tally));
}

async function complete(
  plan: Plan,
  request: Pick<JobRequest, 'source' | 'filter'> | undefined,
  options: CompleteJobOptions,
  ports: CompleteJobPorts,
  tally: Tally,
): Promise<{ summary: Summary; completion: Completion }> {
  const { works } = ports;
  const finishedAt = new Date();
  const startedAt = new Date(plan.createdAt);
  const seconds = Math.max(0, (finishedAt.getTime() - startedAt.getTime()) / 1000);
  const { summary, tables, parts, usage } = await finalizeJob(
    plan,
    {
      policy: options.policy,
      ...(options.cascade && { cascade: options.cascade }),
      softwareVersion: options.softwareVersion,
      formats: [],
      layout: resultLayout(plan, options.tableFileBytes),
      startedAt,
      finishedAt,
      seconds,
      imagesThisRun: plan.images,
    },
    {
      works,
      results: works,
      reasonOf: ports.reasonOf,
      thumbnail: ports.thumbnail,
      pixels: ports.pixels,
      ...(ports.records && { records: ports.records }),
      ...(ports.following && { following: ports.following }),
    },
  );
  const series = request === undefined ? plan.job : seriesOf(request, plan.stage.model);
  const dispatch = await readJson(works, dispatchKey(plan.job), Dispatch);
  const ofWorkers = await workerUsage(works);
  const own = tally.seal({ all: true, storedBy: works.putRequest });
  for (const records of [plan.usage, dispatch?.usage, ports.lostUsage, ofWorkers.gone, own])
    usage.add(records ?? []);
  const completion: Completion = Completion.parse({
    schema: 1,
    job: plan.job,
    series,
    plannedAt: plan.createdAt,
    completedAt: finishedAt.toISOString(),
    modelSha256: plan.stage.modelSha256,
    preprocessHash: plan.stage.preprocessHash,
    decodeHash: plan.stage.decodeHash,
    policyHash: rulesHash(options),
    scores: plan.stage.scores,
    planned: plannedImages(plan),
    carried: plan.carried?.count ?? 0,
    audited: summary.audited,
    unreadable: summary.unreadable,
    failed: summary.failed,
    ...(summary.stages && {
      stages: summary.stages.map(({ policyHash: _hash, policy: _policy, ...totals }) => totals),
    }),
    parts,
    tables,
    usage: usage.finish(),
  });
  await writeJson(works, completionKey(plan.job), completion);
  tally.stored();
  // What comes after the proof is in no job's usage.
  tally.isFor({ idle: true });
  if (request !== undefined) await becomeLatest(completion, works);
  await works.delete([openKey(plan.job), ...ofWorkers.goneKeys]);
  return { summary, completion };
}

/** Where a file of a job's results lies, beside its table. */
export function resultFile(job: string, name: string): string {
  return `${RESULTS_PREFIX}jobs/${job}/${name}`;
}

/** Hive's way of naming partitions, which Athena, Spark and DuckDB read: by day, then by job. */
function resultLayout(plan: Plan, tableFileBytes: number): ResultLayout {
  const place = `${RESULTS_PREFIX}audit/dt=${plan.createdAt.slice(0, 10)}/run=${plan.job}/`;
  return {
    table: (n) => `${place}part-${String(n).padStart(5, '0')}.parquet`,
    tableFileBytes,
    tablePlace: place,
    file: (name) => resultFile(plan.job, name),
  };
}

/** The next incremental job of the series builds on the job that was planned last. */
async function becomeLatest(completion: Completion, works: ObjectStore): Promise<void> {
  const key = latestKey(completion.series);
  const latest = await readJson(works, key, LatestJob);
  if (latest !== undefined && latest.plannedAt > completion.plannedAt) return;
  await writeJson(works, key, { job: completion.job, plannedAt: completion.plannedAt });
}

/** @throws SluiceError `job-conflict` for a job that is not complete. */
export async function completionOf(job: string, works: ObjectStore): Promise<Completion> {
  const completion = await readJson(works, completionKey(job), Completion);
  if (completion !== undefined) return completion;
  throw new SluiceError('job-conflict', `job "${job}" is not complete: see "sluice status ${job}"`);
}
