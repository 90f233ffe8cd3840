import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { HealthServer } from '#adapters/health-server.ts';
import { InstanceMetadata, watchInterruption } from '#adapters/instance-metadata.ts';
import type { JsonLog } from '#adapters/json-log.ts';
import { overhead } from '#adapters/meter.ts';
import type { LoadedModel } from '#adapters/model-folder.ts';
import type { Pipeline } from '#adapters/pipeline.ts';
import { softwareVersion } from '#adapters/software-version.ts';
import { messageOf } from '#core/error.ts';
import { workerStatusKey } from '#core/job-layout.ts';
import type { Engine } from '#core/ports/engine.ts';
import { rulesOf } from '#core/stages.ts';
import type { WorkerStatus } from '#core/worker-status.ts';
import { FetchThreads } from './fetch-threads.ts';
import { plannedFollowing } from './follow-ups.ts';
import type { HeldModel } from './held-models.ts';
import { InferenceWorker } from './inference-worker.ts';
import { JobPolicies } from './job-policies.ts';
import { remakePack } from './remake-pack.ts';
import { ScaleInProtection } from './scale-in-protection.ts';
import { runActions } from './verdict-actions.ts';
import { WorkerMetrics } from './worker-metrics.ts';

export interface WorkerProcessOptions {
  /** Of the first stage, or the only one. */
  readonly model: LoadedModel;
  readonly engine: Engine;
  readonly shadow?: HeldModel['shadow'];
  /** The models of the other stages of a cascade. */
  readonly following?: readonly HeldModel[];
  /** 0 takes any free port; left out, there is no health endpoint. */
  readonly healthPort?: number;
  readonly healthHost: string;
  /** Where EC2 tells of interruptions; left out, its own address. */
  readonly metadataEndpoint?: string;
  readonly metadataEveryMs: number;
  readonly log: JsonLog;
  /** Takes lines of metrics. */
  emit(line: string): void;
  /** Aborted by SIGTERM. */
  readonly stop: AbortSignal;
}

const STATUS_EVERY_SECONDS = 15;
const GPU_FETCH_THREADS = 2;
/** A worker that has not come through its loop for so long hangs. */
const HEALTHY_WITHIN_MS = 300_000;

/**
 * One worker of a pipeline, until it is told to stop: by `stop`, or by EC2 taking its instance away. It then takes no
 * more packs, finishes what the model has in hand, and gives the rest back at once.
 */
export function runWorkerProcess(pipeline: Pipeline, options: WorkerProcessOptions): Promise<void> {
  return overhead('worker', () => workerProcess(pipeline, options));
}

async function workerProcess(pipeline: Pipeline, options: WorkerProcessOptions): Promise<void> {
  const { works, config } = pipeline;
  const { model, engine, log } = options;
  const { manifest } = model;
  const { batchSize, maxWaitMs, prefetchPacks } = config.worker;
  // One thread reads faster than a model runs on a processor; a GPU takes more.
  const fetchThreads = config.worker.fetchThreads ?? (engine.provider === 'cpu' ? 0 : GPU_FETCH_THREADS);
  const [live, bulk, shards, events] = await Promise.all([
    pipeline.queue('live'),
    pipeline.queue('bulk'),
    pipeline.queue('shards'),
    pipeline.queue('events'),
  ]);
  const verdicts = config.queues.verdicts === undefined ? undefined : await pipeline.queue('verdicts');
  const stages = await pipeline.stages();
  const policies = new JobPolicies(works, stages.first.policy);
  const { cascade } = rulesOf(stages);
  const interrupted = new AbortController();
  const done = new AbortController();
  const stop = AbortSignal.any([options.stop, interrupted.signal]);
  let activeAtMs = performance.now();

  const worker: InferenceWorker = new InferenceWorker(
    {
      manifest,
      stage: stages.first.name,
      softwareVersion: softwareVersion(),
      batchSize,
      maxWaitMs,
      prefetchPacks,
    },
    {
      works,
      live,
      bulk,
      engine,
      ...(options.shadow && { shadow: options.shadow }),
      ...(options.following && { following: options.following }),
      ...(cascade && {
        followUps: plannedFollowing(works, { shards, packs: bulk }),
      }),
      ...(fetchThreads > 0 && {
        fetchThreads: (memory) => new FetchThreads(pipeline.workLocation, fetchThreads, memory),
      }),
      policyOf: async (job, stage) => cascade?.stages[stage] ?? policies.of(job),
      remake: (message) => remakePack(message, { shards, events }),
      act: (message, records) =>
        runActions(message, records, config.actions, {
          openBucket: pipeline.bucket,
          ...(verdicts && { verdicts }),
        }),
      onBatch: (batch) => {
        activeAtMs = performance.now();
        metrics.batch(batch);
      },
      onFailedDelivery: (message, reason) => {
        metrics.failure();
        log.warn('a delivery failed', { pack: message?.name, job: message?.job, reason });
      },
    },
  );
  const metrics = new WorkerMetrics(
    worker.meter,
    { Pipeline: pipelineName(pipeline), Model: manifest.name, Provider: engine.provider },
    batchSize,
  );
  const id = `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`;
  const writeStatus = async (): Promise<void> => {
    const status: WorkerStatus = {
      schema: 1,
      worker: id,
      at: new Date().toISOString(),
      model: manifest.name,
      provider: engine.provider,
      ...metrics.status(),
    };
    // A status is for looking at; that it could not be written must not stop the work.
    await works.put(workerStatusKey(id), Buffer.from(JSON.stringify(status))).catch(() => undefined);
  };
  const endpoint = options.metadataEndpoint;
  const metadata = new InstanceMetadata(endpoint === undefined ? {} : { endpoint });
  const { fleet } = pipeline;
  const protection =
    fleet &&
    new ScaleInProtection(async (isProtected) => fleet.protect(await metadata.instanceId(), isProtected));
  let seconds = 0;
  const ticking = setInterval(() => {
    const line = metrics.tick();
    if (line !== undefined) options.emit(line);
    protection?.tick(!worker.meter.isWaiting);
    if (++seconds % STATUS_EVERY_SECONDS === 1) void writeStatus();
  }, 1000);

  await using health =
    options.healthPort === undefined
      ? undefined
      : await HealthServer.start({
          port: options.healthPort,
          host: options.healthHost,
          health: () => ({
            healthy: stop.aborted || isWell(worker, activeAtMs),
            draining: stop.aborted,
            worker: id,
            ...metrics.status(),
          }),
        });
  const watching = watchInterruption(metadata, {
    everyMs: options.metadataEveryMs,
    stop: AbortSignal.any([options.stop, done.signal]),
  }).then((notice) => {
    if (notice === undefined) return;
    log.warn('this instance is being taken away: draining', { ...notice });
    interrupted.abort();
  });

  log.info('worker started', {
    worker: id,
    model: manifest.name,
    provider: engine.provider,
    batchSize,
    healthPort: health?.port,
  });
  try {
    await worker.run(stop);
    log.info('worker stopped', { worker: id });
  } catch (error) {
    log.error('worker failed', { worker: id, reason: messageOf(error) });
    throw error;
  } finally {
    clearInterval(ticking);
    done.abort();
    await watching;
    await works.delete([workerStatusKey(id)]).catch(() => undefined);
  }
}

function pipelineName({ workLocation: { bucket, prefix } }: Pipeline): string {
  return `${bucket}/${prefix}`.replace(/\/$/, '');
}

/** A worker that waits for messages is well for as long as it may wait; one that has packs must get on with them. */
function isWell(worker: InferenceWorker, activeAtMs: number): boolean {
  return worker.meter.isWaiting || performance.now() - activeAtMs < HEALTHY_WITHIN_MS;
}
