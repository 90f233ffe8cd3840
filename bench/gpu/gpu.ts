import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { FolderStore } from '#adapters/folder-store.ts';
import { gpus } from '#adapters/gpu-machine.ts';
import { recipeHere } from '#cli/engine-recipe.ts';
import type { BuiltEngine, Precision } from '#core/engine-artifact.ts';
import { messageOf } from '#core/error.ts';
import { buildEngine } from '#models/gpu/build-engine.ts';
import { EngineStore } from '#workers/engine/engine-store.ts';
import { obtainEngine } from '#workers/engine/obtain-engine.ts';
import { atLeast, atMost, type BenchResult } from '../support/bench.ts';
import { bareLoop } from './bare-loop.ts';
import { type FedWorkerOptions, fedWorker } from './fed-worker.ts';
import { writeResNet50 } from './models.ts';

const BATCH = 256;
const BARE_SECONDS = 5;
/** What g4dn.xlarge has. */
const WORKER_CORES = 4;
/** The best rate that is published for a T4 with ResNet-50, in INT8: above it, feeding is nobody's limit. */
const T4_IMAGES_PER_SECOND = 6000;

/**
 * The worker, fed with packs over S3 and SQS on loopback, beside a loop that runs the same engine on batches in memory. On
 * the processor cores of a g4dn.xlarge. Needs an NVIDIA GPU, and TensorRT with its `trtexec`.
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
  try {
    const modelFolder = join(folder, 'resnet50');
    const model = await writeResNet50(modelFolder);
    const results: BenchResult[] = [];
    const cores = cpus().length;
    const common = {
      model,
      modelFolder,
      batchSize: BATCH,
      prefetchPacks: 16,
      sessions: 2,
      cores: `0-${WORKER_CORES - 1}`,
      otherCores: `${WORKER_CORES}-${cores - 1}`,
    } satisfies Partial<FedWorkerOptions>;

    const measure = async (
      name: string,
      provider: 'tensorrt' | 'cuda',
      precision: Precision,
      modelPath: string,
      packs: number,
      built?: BuiltEngine,
    ): Promise<void> => {
      const options = { modelPath, provider, threads: WORKER_CORES, maxBatch: BATCH } as const;
      let best = 0;
      for (const sessions of [1, 2]) {
        const bare = await bareLoop(options, BATCH, sessions, BARE_SECONDS);
        best = Math.max(best, bare.imagesPerSecond);
        const of = `${name}, bare loop, ${sessions} session${sessions > 1 ? 's' : ''}`;
        results.push({ metric: of, value: bare.imagesPerSecond, unit: 'images/s' });
        results.push({ metric: `${of}: GPU busy`, value: bare.gpuPercent, unit: '%' });
      }
      const fed = await fedWorker({ ...common, provider, precision, packs, ...(built && { built }) });
      results.push({ metric: `${name}, worker`, value: fed.imagesPerSecond, unit: 'images/s' });
      results.push({
        metric: `${name}, worker: pixels`,
        value: (fed.imagesPerSecond * 224 * 224 * 3) / 1e9,
        unit: 'GB/s',
      });
      const ratio = fed.imagesPerSecond / best;
      const busy = `${name}, worker: GPU busy`;
      results.push(
        ...(best <= T4_IMAGES_PER_SECOND
          ? [atLeast(`${name}, worker / bare loop`, ratio, 0.95), atLeast(busy, fed.gpuPercent, 95, '%')]
          : [
              { metric: `${name}, worker / bare loop`, value: ratio, unit: 'ratio' },
              { metric: busy, value: fed.gpuPercent, unit: '%' },
            ]),
        atMost(`${name}, start of the process to its first part`, fed.secondsToFirstPart, 10, 's'),
      );
      for (const line of fed.lines.filter((line) => /the model is loaded|does not work/.test(line)))
        console.error(line);
    };

    // Engines are kept where this names a folder, as they are in a fleet's bucket.
    const engines = new EngineStore(
      new FolderStore(process.env['SLUICE_ENGINES'] ?? join(folder, 'engines')),
    );
    for (const precision of ['fp32', 'fp16'] as const) {
      const batch = { min: 1, opt: BATCH, max: BATCH };
      const recipe = await recipeHere(
        model,
        { precision, batch, deviceId: 0, builderFlags: [] },
        process.env,
      );
      const built = await obtainEngine(engines, {
        recipe,
        worker: 'bench',
        build: (wanted) => buildEngine({ modelPath: model.modelPath, recipe: wanted, trtexec: 'trtexec' }),
        onProgress: (message) => console.error(message),
      });
      const at = join(folder, precision);
      await mkdir(at);
      await writeFile(join(at, built.manifest.engine.file), built.engine);
      await writeFile(join(at, built.manifest.wrapper.file), built.wrapper);
      const wrapper = join(at, built.manifest.wrapper.file);
      await measure(`TensorRT ${precision}`, 'tensorrt', precision, wrapper, 1200, built);
    }
    await measure('CUDA fp32', 'cuda', 'fp32', model.modelPath, 600);
    return results;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
