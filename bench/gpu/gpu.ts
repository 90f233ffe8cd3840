import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { FolderStore } from '#adapters/folder-store.ts';
import { gpus } from '#adapters/gpu-machine.ts';
import { type LoadedModel, loadModel } from '#adapters/model-folder.ts';
import { recipeHere } from '#cli/engine-recipe.ts';
import type { BuiltEngine, Precision } from '#core/engine-artifact.ts';
import { messageOf } from '#core/error.ts';
import { buildEngine } from '#models/gpu/build-engine.ts';
import { EngineStore } from '#workers/engine/engine-store.ts';
import { obtainEngine } from '#workers/engine/obtain-engine.ts';
import { atLeast, atMost, type BenchResult, table } from '../support/bench.ts';
import { bareLoop } from './bare-loop.ts';
import { coupledService } from './coupled.ts';
import { fedWorker } from './fed-worker.ts';
import { writeResNet } from './models.ts';
import { pythonPeer } from './python-peer.ts';

const BATCH = 256;
const BARE_SECONDS = 5;
const SMALLER_BATCHES = [1, 16, 64];
const SHORT_SECONDS = 2;
/** One computes, one copies its input, one is being filled. */
const SESSIONS = 3;
/** What g4dn.xlarge has. */
const WORKER_CORES = 4;
/** The best rate that is published for a T4 with ResNet-50, in INT8: above it, feeding is nobody's limit. */
const T4_IMAGES_PER_SECOND = 6000;

/**
 * The worker, fed with packs over S3 and SQS on loopback, beside a loop that runs the same engine on batches in memory, and
 * beside a service that decodes and infers in one process, and PyTorch. On the processor cores of a g4dn.xlarge. Needs an NVIDIA GPU, and TensorRT with
 * its `trtexec`. SLUICE_BENCH_MODELS names a folder of imported models that are measured too, SLUICE_BENCH_ONLY a part of the names of what is measured.
 */
export async function gpuBench(): Promise<BenchResult[]> {
  try {
    const [gpu] = await gpus();
    console.error(`${gpu?.name}, driver ${gpu?.driver}, compute capability ${gpu?.computeCapability}`);
  } catch (error) {
    console.error(`skipped: ${messageOf(error)}`);
    return [{ metric: 'GPUs found', value: 0, unit: 'GPUs' }];
  }
  const folder = await mkdtemp(join(tmpdir(), 'sluice-gpu-'));
  // Engines are kept where this names a folder, as they are in a fleet's bucket.
  const engines = new EngineStore(new FolderStore(process.env['SLUICE_ENGINES'] ?? join(folder, 'engines')));
  try {
    const results: BenchResult[] = [];
    const only = process.env['SLUICE_BENCH_ONLY'] ?? '';
    const cases = [...CASES, ...(await ownModels(process.env['SLUICE_BENCH_MODELS']))];
    for (const one of cases.filter(({ name }) => name.includes(only))) {
      const measured = await measure(one, folder, engines);
      console.error(table(one.name, measured));
      results.push(...measured);
    }
    return 'PyTorch'.includes(only) ? [...results, ...(await pythonPeer(`0-${WORKER_CORES - 1}`))] : results;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Case {
  readonly name: string;
  /** Writes the model below a folder, or has it already. */
  readonly model: (folder: string) => Promise<LoadedModel>;
  readonly provider: 'tensorrt' | 'cuda';
  readonly precision: Precision;
  readonly builderFlags: string[];
  readonly packs: number;
}

/** The second is as slow as a T4 is at best; the others show where feeding ends. */
const CASES: readonly Case[] = [
  {
    name: 'ResNet-50, TensorRT fp16',
    model: (folder) => writeResNet(folder, 50),
    provider: 'tensorrt',
    precision: 'fp16',
    builderFlags: [],
    packs: 700,
  },
  {
    name: 'ResNet-152, TensorRT fp32',
    model: (folder) => writeResNet(folder, 152),
    provider: 'tensorrt',
    precision: 'fp32',
    builderFlags: ['--noTF32'],
    packs: 500,
  },
  {
    name: 'ResNet-50, CUDA fp32',
    model: (folder) => writeResNet(folder, 50),
    provider: 'cuda',
    precision: 'fp32',
    builderFlags: [],
    packs: 500,
  },
];

/** Imported models, each in its folder, those that were quantized as they are. */
async function ownModels(folder: string | undefined): Promise<Case[]> {
  if (folder === undefined) return [];
  return (await readdir(folder)).sort().map((name) => {
    const precision = name.endsWith('-int8') ? 'int8' : 'fp16';
    return {
      name: `${name}, TensorRT ${precision}`,
      model: () => loadModel(join(folder, name)),
      provider: 'tensorrt',
      precision,
      builderFlags: [],
      packs: 400,
    };
  });
}

async function measure(one: Case, folder: string, engines: EngineStore): Promise<BenchResult[]> {
  const { name, provider, precision, builderFlags, packs } = one;
  const model = await one.model(folder);
  const modelFolder = dirname(model.modelPath);
  const { widthPx, heightPx } = model.manifest.preprocess;
  const built = provider === 'cuda' ? undefined : await engineOf(model, engines, { precision, builderFlags });
  const modelPath =
    built === undefined ? model.modelPath : await unpacked(built, join(folder, `engine of ${name}`));
  const results: BenchResult[] = [];
  const options = { modelPath, provider, threads: WORKER_CORES, maxBatch: BATCH } as const;
  let best = 0;
  for (const sessions of [1, 2, 3]) {
    const bare = await bareLoop(options, BATCH, sessions, BARE_SECONDS);
    best = Math.max(best, bare.imagesPerSecond);
    const of = `${name}, bare loop, ${sessions} session${sessions > 1 ? 's' : ''}`;
    results.push({ metric: of, value: bare.imagesPerSecond, unit: 'images/s' });
    results.push({ metric: `${of}: GPU busy`, value: bare.gpuPercent, unit: '%' });
  }
  if (provider === 'tensorrt') {
    // The engine is tuned for the largest batch; how it does with others.
    for (const batch of SMALLER_BATCHES) {
      const { imagesPerSecond } = await bareLoop(options, batch, 1, SHORT_SECONDS);
      results.push({
        metric: `${name}, bare loop, batches of ${batch}`,
        value: imagesPerSecond,
        unit: 'images/s',
      });
    }
  }
  const fed = await fedWorker({
    model,
    modelFolder,
    provider,
    precision,
    builderFlags,
    packs,
    ...(built && { built }),
    batchSize: BATCH,
    prefetchPacks: 16,
    sessions: SESSIONS,
    cores: `0-${WORKER_CORES - 1}`,
    otherCores: `${WORKER_CORES}-${cpus().length - 1}`,
  });
  for (const line of fed.lines.filter((line) => /the model is loaded|does not work/.test(line)))
    console.error(line);
  const ratio = `${name}, worker / bare loop`;
  const busy = `${name}, worker: GPU busy`;
  const share = fed.imagesPerSecond / best;
  results.push(
    { metric: `${name}, worker`, value: fed.imagesPerSecond, unit: 'images/s' },
    {
      metric: `${name}, worker: pixels`,
      value: (fed.imagesPerSecond * widthPx * heightPx * 3) / 1e9,
      unit: 'GB/s',
    },
    ...(best <= T4_IMAGES_PER_SECOND
      ? [atLeast(ratio, share, 0.95), atLeast(busy, fed.gpuPercent, 95, '%')]
      : [
          { metric: ratio, value: share, unit: 'ratio' },
          { metric: busy, value: fed.gpuPercent, unit: '%' },
        ]),
    ...Object.entries(fed.feed).map(([state, value]) => ({
      metric: `${name}, worker: ${state}`,
      value,
      unit: '%',
    })),
    atMost(`${name}, start of the process to its first part`, fed.secondsToFirstPart, 10, 's'),
  );
  const coupled = await coupledService({
    modelFolder,
    onnxPath: modelPath,
    provider,
    cores: `0-${WORKER_CORES - 1}`,
  });
  results.push(
    {
      metric: `${name}, coupled service, batches of up to ${coupled.batch}`,
      value: coupled.imagesPerSecond,
      unit: 'images/s',
    },
    { metric: `${name}, coupled service: GPU busy`, value: coupled.gpuPercent, unit: '%' },
    atLeast(`${name}, worker / coupled service`, fed.imagesPerSecond / coupled.imagesPerSecond, 3),
  );
  return results;
}

async function engineOf(
  model: LoadedModel,
  engines: EngineStore,
  options: { precision: Precision; builderFlags: string[] },
): Promise<BuiltEngine> {
  const batch = { min: 1, opt: BATCH, max: BATCH };
  const recipe = await recipeHere(model, { ...options, batch, deviceId: 0 }, process.env);
  return obtainEngine(engines, {
    recipe,
    worker: 'bench',
    build: (wanted) => buildEngine({ modelPath: model.modelPath, recipe: wanted, trtexec: 'trtexec' }),
    onProgress: (message) => console.error(message),
  });
}

async function unpacked({ manifest, engine, wrapper }: BuiltEngine, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, manifest.engine.file), engine);
  await writeFile(join(folder, manifest.wrapper.file), wrapper);
  return join(folder, manifest.wrapper.file);
}
