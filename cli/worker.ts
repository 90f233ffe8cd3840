import { availableParallelism } from 'node:os';
import { HealthServer } from '#adapters/health-server.ts';
import { endIfHung } from '#adapters/hung-threads.ts';
import { jsonLog } from '#adapters/json-log.ts';
import { loadStages } from '#adapters/load-stages.ts';
import { overhead } from '#adapters/meter.ts';
import { loadModel } from '#adapters/model-folder.ts';
import { ONNX_PROVIDERS } from '#adapters/onnx-engine.ts';
import { openPipeline } from '#adapters/pipeline.ts';
import { SluiceError } from '#core/error.ts';
import { PipelineConfig } from '#core/pipeline-config.ts';
import { HeldModels } from '#workers/held-models.ts';
import { runWorkerProcess } from '#workers/worker-process.ts';
import { EXIT } from './exit-codes.ts';
import { loadWorkerEngine } from './worker-engine.ts';

/** ECS kills a task 120 s after SIGTERM, EC2 a Spot instance 120 s after its notice. */
const DRAIN_LIMIT_MS = 75_000;
/** Later than that the process ends wherever it is. What it holds comes back through its visibility time-out. */
const EXIT_LIMIT_MS = 85_000;
const METADATA_EVERY_MS = 5_000;

export interface WorkerFlags {
  pipeline?: string;
  healthPort?: string;
  healthHost: string;
  threads?: string;
  provider?: string;
  device: string;
  trtexec: string;
}

/** `sluice worker`: runs until SIGTERM, or until EC2 takes the machine away. @returns the exit code. */
export async function worker(
  flags: WorkerFlags,
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const pipeline = await openPipeline(flags.pipeline, env);
  const stages = await loadStages(pipeline.config, loadModel);
  const log = jsonLog({ service: 'worker', pid: process.pid });
  const stop = new AbortController();
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(EXIT.stopped);
    log.info('stopping: finishing what the model has in hand');
    stop.abort();
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  const config = { ...pipeline.config.worker, ...providersOf(flags.provider) };
  const load = () =>
    HeldModels.load(stages, (model) =>
      loadWorkerEngine(model, {
        config,
        threads: flags.threads === undefined ? availableParallelism() : Number(flags.threads),
        deviceId: Number(flags.device),
        trtexec: flags.trtexec,
        works: pipeline.works,
        log,
        env,
      }),
    );
  await using models = await wellMeanwhile(flags, () => overhead('worker', load));
  const endpoint = env['AWS_EC2_METADATA_SERVICE_ENDPOINT'];
  await runWorkerProcess(pipeline, {
    model: stages.first,
    engine: models.first.engine,
    ...(models.first.shadow && { shadow: models.first.shadow }),
    following: models.following,
    ...(flags.healthPort !== undefined && { healthPort: Number(flags.healthPort) }),
    healthHost: flags.healthHost,
    ...(endpoint !== undefined && { metadataEndpoint: endpoint }),
    metadataEveryMs: METADATA_EVERY_MS,
    log,
    emit: (line) => void process.stdout.write(line),
    drainLimitMs: DRAIN_LIMIT_MS,
    startMs: performance.now(),
    stop: stop.signal,
    onDrain: () => {
      setTimeout(() => {
        endIfHung();
        process.exit(EXIT.ok);
      }, EXIT_LIMIT_MS).unref();
    },
  });
  return EXIT.ok;
}

/** An engine that has to be built takes minutes: whoever watches the worker must not take it for dead meanwhile. */
async function wellMeanwhile<T>(
  { healthPort, healthHost }: WorkerFlags,
  start: () => Promise<T>,
): Promise<T> {
  if (healthPort === undefined) return start();
  const health = () => ({ healthy: true, starting: true });
  await using _ = await HealthServer.start({ port: Number(healthPort), host: healthHost, health });
  return await start();
}

function providersOf(list: string | undefined): Pick<PipelineConfig['worker'], 'providers'> | undefined {
  if (list === undefined) return undefined;
  const parsed = PipelineConfig.shape.worker.safeParse({ providers: list.split(',') });
  if (parsed.success) return { providers: parsed.data.providers };
  throw new SluiceError(
    'config-invalid',
    `--provider expects some of ${ONNX_PROVIDERS.join(', ')}, in the order in which they are tried; got "${list}"`,
  );
}
