import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { HealthServer } from '#adapters/health-server.ts';
import { InstanceMetadata, watchInterruption } from '#adapters/instance-metadata.ts';
import type { JsonLog } from '#adapters/json-log.ts';
import { overhead, spentStarting, Tally, untoldUsage } from '#adapters/meter.ts';
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
import { standBy } from './stand-by.ts';
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
  /** What the model still has in hand so long after it was told to stop goes back as it is. */
  readonly drainLimitMs: number;
  readonly log: JsonLog;
  /** Takes lines of metrics. */
  emit(line: string): void;
  /** Milliseconds since the process began, where it is this worker's alone: what it took to load the model, above all. */
  readonly startMs?: number;
  /** Aborted by SIGTERM. */
  readonly stop: AbortSignal;
  /** Called once, when it takes no more packs, whoever told it so. */
  onDrain?(): void;
}

const STATUS_EVERY_SECONDS = 15;
const GPU_FETCH_THREADS = 2;
/** An instance at risk is replaced within minutes, where Spot has another. */
const REPLACED_WITHIN_MS = 600_000;
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
  const endpoint = options.metadataEndpoint;
  const metadata = new InstanceMetadata(endpoint === undefined ? {} : { endpoint });
  const [live, bulk, shards, events, known] = await Promise.all([
    pipeline.queue('live'),
    pipeline.queue('bulk'),
    pipeline.queue('shards'),
    pipeline.queue('events'),
    metadata.interruption(options.stop).catch(() => undefined),
  ]);
  const verdicts = config.queues.verdicts === undefined ? undefined : await pipeline.queue('verdicts');
  const stages = await pipeline.stages();
  const policies = new JobPolicies(works, stages.first.policy);
  const { cascade } = rulesOf(stages);
  const interrupted = new AbortController();
  const done = new AbortController();
  const stop = AbortSignal.any([options.stop, interrupted.signal]);
  stop.addEventListener('abort', () => options.onDrain?.(), { once: true });
  let activeAtMs = performance.now();

  const worker: InferenceWorker = new InferenceWorker(
    {
      manifest,
      stage: stages.first.name,
      softwareVersion: softwareVersion(),
      batchSize,
      maxWaitMs,
      prefetchPacks,
      drainLimitMs: options.drainLimitMs,
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
          onSkipped: (key, reason) => log.warn('an action was left out', { job: message.job, key, reason }),
        }),
      onBatch: (batch) => {
        activeAtMs = performance.now();
        metrics.batch(batch);
      },
      // A pack that costs one time limit after another is worked on all the same.
      onRun: () => {
        activeAtMs = performance.now();
      },
      onStageGivenUp: (stage, reason) => log.error('the model of a stage is given up', { stage, reason }),
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
  const writeStatus = async (more: Pick<WorkerStatus, 'untold' | 'stopped'>): Promise<boolean> => {
    const status: WorkerStatus = {
      schema: 1,
      worker: id,
      at: new Date().toISOString(),
      model: manifest.name,
      provider: engine.provider,
      ...metrics.status(),
      ...more,
    };
    const written = works.put(workerStatusKey(id), Buffer.from(JSON.stringify(status)));
    // That it could not be written must not stop the work.
    return written.then(
      () => true,
      () => false,
    );
  };
  /** Whoever completes the next job finds here what this process has told nobody. */
  const sayGoodbye = async (): Promise<void> => {
    const tally = new Tally('worker', undefined, { idle: true });
    const untold = tally.seal({ all: true, storedBy: works.putRequest });
    await tally.run(() => writeStatus({ untold, stopped: true }));
    tally.stored();
  };
  let writing: Promise<unknown> = Promise.resolve();
  const { fleet } = pipeline;
  const protection =
    fleet &&
    new ScaleInProtection(async (isProtected) => fleet.protect(await metadata.instanceId(), isProtected));
  let seconds = 0;
  const ticking = setInterval(() => {
    const line = metrics.tick();
    if (line !== undefined) options.emit(line);
    protection?.tick(!worker.meter.isWaiting);
    if (++seconds % STATUS_EVERY_SECONDS === 1) writing = writeStatus({ untold: untoldUsage() });
  }, 1000);

  await using health =
    options.healthPort === undefined
      ? undefined
      : await HealthServer.start({
          port: options.healthPort,
          host: options.healthHost,
          health: () => ({
            healthy: stop.aborted || isWell(worker, activeAtMs, config.worker.maxSecondsPerRun),
            draining: stop.aborted,
            worker: id,
            ...metrics.status(),
          }),
        });
  log.info('worker started', {
    worker: id,
    model: manifest.name,
    provider: engine.provider,
    batchSize,
    healthPort: health?.port,
  });
  spentStarting('worker', {
    ...(options.startMs !== undefined && { ms: { start: options.startMs } }),
    counts: { starts: 1 },
  });
  if (known !== undefined) {
    log.warn('this instance is to be taken away: no work is taken', { ...known });
    await standBy(known, metadata, {
      everyMs: options.metadataEveryMs,
      patienceMs: REPLACED_WITHIN_MS,
      stop: options.stop,
    });
  }
  const watching = watchInterruption(metadata, {
    everyMs: options.metadataEveryMs,
    ...(known && { known: known.kind }),
    stop: AbortSignal.any([options.stop, done.signal]),
  }).then((notice) => {
    if (notice === undefined) return;
    log.warn('this instance is being taken away: draining', { ...notice });
    interrupted.abort();
  });

  try {
    const unfinished = await worker.run(stop);
    if (unfinished > 0) log.warn('draining took too long: packs went back unfinished', { packs: unfinished });
    log.info('worker stopped', { worker: id });
  } catch (error) {
    log.error('worker failed', { worker: id, reason: messageOf(error) });
    throw error;
  } finally {
    clearInterval(ticking);
    done.abort();
    await watching;
    await writing;
    await sayGoodbye();
  }
}

function pipelineName({ workLocation: { bucket, prefix } }: Pipeline): string {
  return `${bucket}/${prefix}`.replace(/\/$/, '');
}

/**
 * A worker that waits for messages is well for as long as it may wait; one that has packs must get on with them, run by
 * run.
 */
function isWell(worker: InferenceWorker, activeAtMs: number, maxSecondsPerRun: number): boolean {
  const withinMs = Math.max(HEALTHY_WITHIN_MS, 2 * maxSecondsPerRun * 1000);
  return worker.meter.isWaiting || performance.now() - activeAtMs < withinMs;
}
