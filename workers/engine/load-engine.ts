import { mkdir, rename, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { sleepWhileWaiting } from '#adapters/cuda-driver.ts';
import { EnginePool } from '#adapters/engine-pool.ts';
import { OnnxEngine, type OnnxProvider, type Placement } from '#adapters/onnx-engine.ts';
import { type BuiltEngine, type EngineRecipe, engineFolder } from '#core/engine-artifact.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import type { ModelManifest } from '#core/model-manifest.ts';
import type { Engine } from '#core/ports/engine.ts';

export interface GpuEngineOptions {
  readonly deviceId: number;
  /** Images in one run. */
  readonly batchSize: number;
  /** Sessions that take turns on the GPU: one computes, one copies its input, one is being filled. */
  readonly sessions: number;
  /** Seconds that one run may take, of `batchSize` images; then the engine is over, and so should the process be. */
  readonly maxSecondsPerRun: number;
}

/** An engine on a GPU, and what its nodes really run on. */
export interface GpuEngine {
  readonly engine: Engine;
  readonly placement: Placement;
  /** What is slower than it could be, and why. */
  readonly notes: readonly string[];
}

/**
 * Loads a built engine into ONNX Runtime's TensorRT provider.
 *
 * @param cacheFolder gets the files: ONNX Runtime reads engines from a folder.
 * @throws SluiceError `model-invalid` where the engine is not the manifest's model, or ONNX Runtime does not take it.
 */
export async function loadTensorRtEngine(
  built: BuiltEngine,
  manifest: ModelManifest,
  cacheFolder: string,
  options: GpuEngineOptions,
): Promise<GpuEngine> {
  checkNames(built, manifest);
  const folder = engineFolderIn(cacheFolder, built.manifest.recipe);
  await mkdir(folder, { recursive: true });
  const { engine, wrapper } = built.manifest;
  await writeWhole(join(folder, engine.file), built.engine);
  await writeWhole(join(folder, wrapper.file), built.wrapper);
  const { batch, precision } = built.manifest.recipe;
  const gpu = { ...options, batchSize: Math.min(options.batchSize, batch.max) };
  return loadSessions(join(folder, wrapper.file), 'tensorrt', gpu, `tensorrt-${precision}`);
}

/** Loads a model into ONNX Runtime's CUDA provider. Every run has `batchSize` images; smaller batches are padded. */
export function loadCudaEngine(modelPath: string, options: GpuEngineOptions): Promise<GpuEngine> {
  return loadSessions(modelPath, 'cuda', options);
}

async function loadSessions(
  modelPath: string,
  provider: Exclude<OnnxProvider, 'cpu'>,
  { deviceId, batchSize, sessions, maxSecondsPerRun }: GpuEngineOptions,
  name: string = provider,
): Promise<GpuEngine> {
  const load = (): Promise<OnnxEngine> =>
    OnnxEngine.load({
      modelPath,
      provider,
      deviceId,
      maxBatch: batchSize,
      threads: availableParallelism(),
      maxSecondsPerRun,
    });
  const notes = waitingNote(deviceId);
  // One after the other: two that warm up at the same time would measure each other.
  const first = await load();
  const others: OnnxEngine[] = [];
  try {
    for (let i = 1; i < sessions; i++) others.push(await load());
  } catch (error) {
    await Promise.all([first, ...others].map((engine) => engine[Symbol.asyncDispose]()));
    throw error;
  }
  const pool = new EnginePool([first, ...others], name);
  return { engine: pool, placement: first.placement ?? {}, notes: [...notes, ...first.notes] };
}

function waitingNote(deviceId: number): string[] {
  try {
    sleepWhileWaiting(deviceId);
    return [];
  } catch (error) {
    return [`each session holds a processor core while it waits for the GPU: ${messageOf(error)}`];
  }
}

/** The folder of an engine in the cache of this machine. */
export function engineFolderIn(cacheFolder: string, recipe: EngineRecipe): string {
  return join(cacheFolder, basename(engineFolder(recipe)));
}

/** Another worker of this machine may be reading the same file. */
async function writeWhole(path: string, bytes: Buffer): Promise<void> {
  const unfinished = `${path}.${process.pid}`;
  await writeFile(unfinished, bytes);
  await rename(unfinished, path);
}

/** ONNX Runtime binds a name that an engine does not have to the engine's first tensor, and says nothing. */
function checkNames(built: BuiltEngine, manifest: ModelManifest): void {
  const names = (tensors: readonly { name: string }[]): string =>
    tensors
      .map(({ name }) => name)
      .sort()
      .join(', ');
  for (const kind of ['inputs', 'outputs'] as const) {
    const [expected, got] = [names(manifest[kind]), names(built.manifest[kind])];
    if (expected === got) continue;
    throw new SluiceError(
      'model-invalid',
      `the engine has the ${kind} ${got}; the manifest of model "${manifest.name}" names ${expected}`,
    );
  }
}
