import { hostname } from 'node:os';
import { loadCpuEngine } from '#adapters/cpu-engine.ts';
import type { JsonLog } from '#adapters/json-log.ts';
import type { LoadedModel } from '#adapters/model-folder.ts';
import type { OnnxProvider } from '#adapters/onnx-engine.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import type { PipelineConfig } from '#core/pipeline-config.ts';
import type { Engine } from '#core/ports/engine.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { buildEngine } from '#models/gpu/build-engine.ts';
import { checkAgainstGolden } from '#models/verify/check-engine.ts';
import { EngineStore } from '#workers/engine/engine-store.ts';
import {
  engineFolderIn,
  type GpuEngine,
  type GpuEngineOptions,
  loadCudaEngine,
  loadTensorRtEngine,
} from '#workers/engine/load-engine.ts';
import { obtainEngine } from '#workers/engine/obtain-engine.ts';
import { engineCacheFolder, timingCachePath } from './engine-cache.ts';
import { recipeHere } from './engine-recipe.ts';

export interface WorkerEngineOptions {
  readonly config: PipelineConfig['worker'];
  /** Processor threads, where the model runs on the CPU. */
  readonly threads: number;
  readonly deviceId: number;
  readonly trtexec: string;
  /** Holds the fleet's engines. */
  readonly works: ObjectStore;
  readonly log: JsonLog;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Ends a build that is under way, and gives the right to build back. */
  readonly signal?: AbortSignal;
}

/**
 * The engine of a worker: the first provider of its configuration that works, checked against the model's golden results
 * before it gets any work. What did not work is logged; a provider that is not in the list is never used.
 *
 * @throws SluiceError `engine-unavailable` where none works.
 */
export async function loadWorkerEngine(model: LoadedModel, options: WorkerEngineOptions): Promise<Engine> {
  const { log, signal } = options;
  const { providers } = options.config;
  const reasons: string[] = [];
  for (const provider of providers) {
    try {
      const startedMs = performance.now();
      const { engine, placement, notes = [] } = await load(provider, model, options);
      const golden = await checkAgainstGolden(engine, model).catch(async (error: unknown) => {
        await engine[Symbol.asyncDispose]();
        throw error;
      });
      const seconds = Math.round(performance.now() - startedMs) / 1000;
      for (const note of notes) log.warn('the GPU could be fed faster', { note });
      log.info('the model is loaded', { provider, placement, golden, seconds });
      return engine;
    } catch (error) {
      if (signal?.aborted === true) throw error;
      const reason = messageOf(error);
      reasons.push(`${provider}: ${reason}`);
      log.warn('a provider does not work here', { provider, reason });
    }
  }
  throw new SluiceError(
    'engine-unavailable',
    `none of the providers ${providers.join(', ')} works here; "sluice doctor" tells what is missing.\n${reasons.join('\n')}`,
  );
}

async function load(
  provider: OnnxProvider,
  model: LoadedModel,
  options: WorkerEngineOptions,
): Promise<Partial<GpuEngine> & { engine: Engine }> {
  const { config, threads, deviceId } = options;
  if (provider === 'cpu')
    return { engine: await loadCpuEngine(model, { threads, maxSecondsPerRun: config.maxSecondsPerRun }) };
  const batchSize = Math.min(config.batchSize, model.manifest.maxBatch ?? config.batchSize);
  const { sessions, maxSecondsPerRun } = config;
  const gpu = { deviceId, batchSize, sessions, maxSecondsPerRun };
  if (provider === 'cuda') return loadCudaEngine(model.modelPath, gpu);
  return loadTensorRt(model, options, gpu);
}

async function loadTensorRt(
  model: LoadedModel,
  { config, trtexec, works, log, env, signal }: WorkerEngineOptions,
  gpu: GpuEngineOptions,
): Promise<GpuEngine> {
  const { precision, builderFlags } = config;
  const batch = { min: 1, opt: gpu.batchSize, max: gpu.batchSize };
  const recipe = await recipeHere(model, { precision, batch, deviceId: gpu.deviceId, builderFlags }, env);
  const cacheFolder = engineCacheFolder(env);
  const built = await obtainEngine(new EngineStore(works), {
    recipe,
    worker: `${hostname()}-${process.pid}`,
    localFolder: engineFolderIn(cacheFolder, recipe),
    ...(signal && { signal }),
    build: (wanted, stop) =>
      buildEngine({
        modelPath: model.modelPath,
        recipe: wanted,
        trtexec,
        timingCachePath: timingCachePath(cacheFolder, wanted),
        signal: stop,
      }),
    onProgress: (message) => log.info(message),
  });
  return loadTensorRtEngine(built, model.manifest, cacheFolder, gpu);
}
