import type { Pipeline } from '#adapters/pipeline.ts';
import { dispatchKey, WORKERS_PREFIX } from '#core/job-layout.ts';
import { sourceText } from '#core/job-request.ts';
import { plannedImages } from '#core/plan.ts';
import { bottleneckOf, WorkerStatus } from '#core/worker-status.ts';
import { jobState } from '#functions/finalizing/job-state.ts';
import { readJson } from '#functions/json-object.ts';
import { Dispatch } from '#functions/planning/dispatch-shards.ts';

/** A worker that has said nothing for so long is gone. */
const WORKER_GONE_MS = 60_000;

export interface QueueDepth {
  readonly waiting: number;
  readonly leased: number;
}

/** A job and the pipeline around it, at one moment. */
export interface PipelineStatus {
  readonly job: string;
  readonly source: string;
  readonly state: 'planning' | 'broken' | 'running' | 'complete';
  readonly at: string;
  readonly submittedAt: string;
  readonly planned: number;
  readonly carried: number;
  readonly done: number;
  readonly failed: number;
  readonly reason?: string;
  /** Of a job with a budget, at the last look. */
  readonly budget?: {
    readonly usd: number;
    readonly meteredUsd: number;
    readonly committedUsd: number;
    readonly isHeld: boolean;
  };
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
    liveWorkers(pipeline),
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
      return { ...common, planned: 0, carried: 0, done: 0, failed: 0 };
    case 'broken':
      return { ...common, planned: 0, carried: 0, done: 0, failed: 0, reason: state.reason };
    case 'running': {
      const carried = state.plan.carried?.count ?? 0;
      const { done, givenUp } = state.progress;
      return {
        ...common,
        planned: plannedImages(state.plan),
        carried,
        done: done + carried,
        failed: givenUp,
        ...(await budgetOf(job, state.request.budget?.usd, pipeline)),
      };
    }
    case 'complete': {
      const { planned, carried, failed } = state.completion;
      return { ...common, planned, carried, done: planned - failed, failed };
    }
  }
}

async function budgetOf(
  job: string,
  usd: number | undefined,
  { works }: Pipeline,
): Promise<Pick<PipelineStatus, 'budget'>> {
  if (usd === undefined) return {};
  const feeding = (await readJson(works, dispatchKey(job), Dispatch))?.feeding;
  if (feeding === undefined) return { budget: { usd, meteredUsd: 0, committedUsd: 0, isHeld: false } };
  const { meteredUsd, committedUsd, isHeld } = feeding;
  return { budget: { usd, meteredUsd, committedUsd, isHeld: isHeld && feeding.budgetUsd === usd } };
}

async function depthOf(pipeline: Pipeline, name: 'shards' | 'bulk' | 'live'): Promise<QueueDepth> {
  return (await pipeline.queue(name)).depth();
}

async function liveWorkers({ works }: Pipeline): Promise<WorkerStatus[]> {
  const { objects } = await works.list({ prefix: WORKERS_PREFIX });
  const all = await Promise.all(
    objects.map(({ key }) => readJson(works, key, WorkerStatus).catch(() => undefined)),
  );
  const since = Date.now() - WORKER_GONE_MS;
  return all.filter((worker) => worker !== undefined).filter((worker) => Date.parse(worker.at) > since);
}
