import type { Pipeline } from '#adapters/pipeline.ts';
import type { BudgetHold } from '#core/budget.ts';
import { dispatchKey, shardPrefix, WORKERS_PREFIX } from '#core/job-layout.ts';
import { sourceText } from '#core/job-request.ts';
import { plannedImages } from '#core/plan.ts';
import { bottleneckOf, WorkerStatus } from '#core/worker-status.ts';
import { type FinalizingAttempt, lastAttempt } from '#functions/finalizing/finalizing-attempt.ts';
import { type JobProgress, jobState } from '#functions/finalizing/job-state.ts';
import { type DeathCause, deathCauses } from '#functions/finalizing/redrive.ts';
import { readJson } from '#functions/json-object.ts';
import { Dispatch } from '#functions/planning/dispatch-shards.ts';

/** A worker that has said nothing for so long is gone. */
const WORKER_GONE_MS = 60_000;

export interface QueueDepth {
  readonly waiting: number;
  readonly leased: number;
}

/** A following stage: so many images and pieces of them. */
export interface StageStatus {
  readonly stage: string;
  readonly planned: number;
  readonly done: number;
  readonly failed: number;
}

/** A job and the pipeline around it, at one moment. */
export interface PipelineStatus {
  readonly job: string;
  readonly source: string;
  readonly state: 'planning' | 'broken' | 'running' | 'complete';
  readonly at: string;
  readonly submittedAt: string;
  readonly planned: number;
  /** While it is planned: images listed so far that are to be audited, or a few more. */
  readonly listed?: number;
  readonly carried: number;
  readonly done: number;
  readonly failed: number;
  /** Of those done, once the job is complete. */
  readonly unreadable?: number;
  readonly reason?: string;
  /** Of a job that is over and not complete, where that was tried: what came of it. */
  readonly finalizing?: FinalizingAttempt | undefined;
  /** Why messages of a job that runs died, the most frequent reason first. */
  readonly deadLetters?: readonly DeathCause[];
  /** Of a job with a budget, at the last look. */
  readonly budget?: {
    readonly usd: number;
    readonly meteredUsd: number;
    readonly committedUsd: number;
    readonly isHeld: boolean;
    /** Where it is held. */
    readonly hold?: BudgetHold;
  };
  /** Only of a cascade: its following stages, as far as it is known what they will see. */
  readonly following?: readonly StageStatus[];
  readonly queues: Readonly<Record<'shards' | 'bulk' | 'live', QueueDepth>>;
  readonly workers: readonly WorkerStatus[];
  readonly bottleneck: string;
}

/** @returns `undefined` where there is no such job. */
export async function pipelineStatus(job: string, pipeline: Pipeline): Promise<PipelineStatus | undefined> {
  const state = await jobState(job, pipeline.works);
  if (state.kind === 'unknown') return undefined;
  const [shards, bulk, live, workers] = await Promise.all([
    depthOf(pipeline, 'shards'),
    depthOf(pipeline, 'bulk'),
    depthOf(pipeline, 'live'),
    presentWorkers(pipeline),
  ]);
  const common = {
    job,
    source: sourceText(state.request.source),
    state: state.kind,
    at: new Date().toISOString(),
    submittedAt: state.request.submittedAt,
    queues: { shards, bulk, live },
    workers,
    bottleneck: bottleneckOf(workers),
  };
  switch (state.kind) {
    case 'planning':
      return {
        ...common,
        planned: 0,
        carried: 0,
        done: 0,
        failed: 0,
        listed: await listedSoFar(job, pipeline),
      };
    case 'broken':
      return { ...common, planned: 0, carried: 0, done: 0, failed: 0, reason: state.reason };
    case 'running': {
      const carried = state.plan.carried?.count ?? 0;
      const { done, givenUp, following } = state.progress;
      return {
        ...common,
        planned: plannedImages(state.plan),
        carried,
        done: done + carried,
        failed: givenUp,
        ...(state.progress.isOver && { finalizing: await lastAttempt(job, pipeline.works) }),
        ...(givenUp > 0 && { deadLetters: await deathCauses(job, pipeline.works) }),
        ...(await budgetOf(job, state.request.budget?.usd, pipeline)),
        ...(state.plan.following && { following: following.map(stageStatus) }),
      };
    }
    case 'complete': {
      const { planned, carried, unreadable, failed, stages } = state.completion;
      const following = stages?.slice(1).map((of) => ({
        stage: of.stage,
        planned: of.planned,
        done: of.planned - of.failed,
        failed: of.failed,
      }));
      return {
        ...common,
        planned,
        carried,
        done: planned - failed,
        failed,
        unreadable,
        ...(following && { following }),
      };
    }
  }
}

async function listedSoFar(job: string, { works, config }: Pipeline): Promise<number> {
  let shards = 0;
  let cursor: string | undefined;
  do {
    const page = await works.list({ prefix: shardPrefix(job), ...(cursor !== undefined && { cursor }) });
    shards += page.objects.filter(({ key }) => key.endsWith('.json')).length;
    cursor = page.next;
  } while (cursor !== undefined);
  return shards * config.shardSize;
}

export async function budgetOf(
  job: string,
  usd: number | undefined,
  { works }: Pipeline,
): Promise<Pick<PipelineStatus, 'budget'>> {
  if (usd === undefined) return {};
  const feeding = (await readJson(works, dispatchKey(job), Dispatch))?.feeding;
  if (feeding === undefined) return { budget: { usd, meteredUsd: 0, committedUsd: 0, isHeld: false } };
  const { meteredUsd, committedUsd, hold } = feeding;
  const isHeld = feeding.isHeld && feeding.budgetUsd === usd;
  return { budget: { usd, meteredUsd, committedUsd, isHeld, ...(isHeld && hold && { hold }) } };
}

function stageStatus({ stage, done, givenUp, left }: JobProgress['following'][number]): StageStatus {
  return { stage, planned: done + givenUp + left, done, failed: givenUp };
}

export async function depthOf(
  pipeline: Pipeline,
  name: 'shards' | 'bulk' | 'live' | 'events',
): Promise<QueueDepth> {
  return (await pipeline.queue(name)).depth();
}

/** Workers that have said something lately. */
export async function presentWorkers({ works }: Pipeline): Promise<WorkerStatus[]> {
  const { objects } = await works.list({ prefix: WORKERS_PREFIX });
  const all = await Promise.all(
    objects.map(({ key }) => readJson(works, key, WorkerStatus).catch(() => undefined)),
  );
  const since = Date.now() - WORKER_GONE_MS;
  return all
    .filter((worker) => worker !== undefined)
    .filter((worker) => worker.stopped === undefined && Date.parse(worker.at) > since);
}
