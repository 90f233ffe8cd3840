import { mkdir, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import type { LoadedModel } from '#adapters/model-folder.ts';
import { recipeHere } from '#cli/engine-recipe.ts';
import type { BuiltEngine } from '#core/engine-artifact.ts';
import { buildEngine } from '#models/gpu/build-engine.ts';
import type { EngineStore } from '#workers/engine/engine-store.ts';
import { obtainEngine } from '#workers/engine/obtain-engine.ts';
import { atLeast, atMost } from '../support/bench.ts';
import { bareLoop } from './bare-loop.ts';
import type { Case } from './cases.ts';
import { coupledService } from './coupled.ts';
import { fedWorker } from './fed-worker.ts';
import type { LiveResults } from './live-results.ts';
import { RESNET_SOURCE } from './models.ts';
import { residentLoop } from './resident-loop.ts';
import { scoreAgreement } from './score-agreement.ts';

const BATCH = 256;
const BARE_SECONDS = 4;
const SMALLER_BATCHES = [1, 16, 64];
const SHORT_SECONDS = 2;
/** One computes, one copies its input, one is being filled. */
const SESSIONS = 3;
/** What g4dn.xlarge has. */
export const WORKER_CORES = 4;
const MORE_CORES = 10;
/** The default pack, of which four make a batch; and one pack a batch. */
const PACK_SIZES = { default: 64, whole: BATCH } as const;
/** The best rate that is published for a T4 with ResNet-50, in INT8: above it, feeding is nobody's limit. */
const T4_IMAGES_PER_SECOND = 6000;
const LEAST_TOP1 = { fp32: 0.999, fp16: 0.995, int8: 0.98 } as const;

export interface Surroundings {
  /** For models and engines of the moment. */
  readonly folder: string;
  readonly engines: EngineStore;
  /** Pictures to compare scores of; models with made-up weights are not compared. */
  readonly pictures: string | undefined;
  readonly results: LiveResults;
}

/** Measures one model in one precision: the engine alone, fed by the worker, and behind a service that decodes. */
export async function measureCase(one: Case, around: Surroundings): Promise<void> {
  const { name, provider, precision, builderFlags } = one;
  const { folder, results } = around;
  const model = await one.model(folder);
  const built = provider === 'cuda' ? undefined : await engineOf(model, one, BATCH, around);
  const modelPath =
    built === undefined ? model.modelPath : await unpacked(built, join(folder, `${name}, ${BATCH}`));
  const best = await measureAlone(one, modelPath, built, around);
  const isReal = model.manifest.source !== RESNET_SOURCE;
  if (isReal && built !== undefined && around.pictures !== undefined)
    await measureScores(one, model, modelPath, around.pictures, results);

  const fed = (cores: number, imagesPerPack: number, fetchThreads?: number) =>
    fedWorker({
      model,
      modelFolder: dirname(model.modelPath),
      provider,
      precision,
      builderFlags,
      packs: Math.ceil(one.images / imagesPerPack),
      imagesPerPack,
      ...(built && { built }),
      batchSize: BATCH,
      // Four batches, whatever size the packs are.
      prefetchPacks: (4 * BATCH) / imagesPerPack,
      sessions: SESSIONS,
      threads: cores,
      ...(fetchThreads && { fetchThreads }),
      cores: `0-${cores - 1}`,
      otherCores: `${cores}-${cpus().length - 1}`,
    });
  const { widthPx, heightPx } = model.manifest.preprocess;
  const gigabytes = (images: number): number => (images * widthPx * heightPx * 3) / 1e9;
  const worker = await fed(WORKER_CORES, PACK_SIZES.default);
  for (const line of worker.lines.filter((line) => /the model is loaded|does not work/.test(line)))
    console.error(line);
  const ratio = `${name}, worker / bare loop`;
  const busy = `${name}, worker: GPU busy`;
  const share = worker.imagesPerSecond / best;
  results.add(
    { metric: `${name}, worker`, value: worker.imagesPerSecond, unit: 'images/s' },
    { metric: `${name}, worker: pixels`, value: gigabytes(worker.imagesPerSecond), unit: 'GB/s' },
    { metric: `${name}, worker: processor cores busy`, value: worker.coresBusy, unit: 'cores' },
    { metric: `${name}, worker: main thread busy`, value: worker.mainThreadBusy, unit: 'cores' },
    ...(best <= T4_IMAGES_PER_SECOND
      ? [atLeast(ratio, share, 0.95), atLeast(busy, worker.gpuPercent, 95, '%')]
      : [
          { metric: ratio, value: share, unit: 'ratio' },
          { metric: busy, value: worker.gpuPercent, unit: '%' },
        ]),
    ...Object.entries(worker.feed).map(([state, value]) => ({
      metric: `${name}, worker: ${state}`,
      value,
      unit: '%',
    })),
    atMost(`${name}, start of the process to its first part`, worker.secondsToFirstPart, 10, 's'),
  );
  const whole = await fed(WORKER_CORES, PACK_SIZES.whole);
  const ofWhole = `${name}, worker, packs of ${PACK_SIZES.whole}`;
  results.add(
    { metric: ofWhole, value: whole.imagesPerSecond, unit: 'images/s' },
    { metric: `${ofWhole}: GPU busy`, value: whole.gpuPercent, unit: '%' },
    { metric: `${ofWhole}: processor cores busy`, value: whole.coresBusy, unit: 'cores' },
    { metric: `${ofWhole}: main thread busy`, value: whole.mainThreadBusy, unit: 'cores' },
  );
  if (one.onMoreCores && cpus().length > MORE_CORES) {
    const wide = await fed(MORE_CORES, PACK_SIZES.whole, 6);
    const of = `${name}, worker on ${MORE_CORES} cores, 6 threads that fetch`;
    results.add(
      { metric: of, value: wide.imagesPerSecond, unit: 'images/s' },
      { metric: `${of}: pixels`, value: gigabytes(wide.imagesPerSecond), unit: 'GB/s' },
      { metric: `${of}: GPU busy`, value: wide.gpuPercent, unit: '%' },
    );
  }
  if (one.coupledBatches.length > 0) await measureCoupled(one, model, worker.imagesPerSecond, around);
}

/** The engine without the pipeline. @returns the images a second of the best loop. */
async function measureAlone(
  { name, provider }: Case,
  modelPath: string,
  built: BuiltEngine | undefined,
  { results }: Surroundings,
): Promise<number> {
  const options = { modelPath, provider, threads: WORKER_CORES, maxBatch: BATCH } as const;
  let best = 0;
  const input = built?.manifest.inputs[0];
  if (built !== undefined && input !== undefined) {
    const enginePath = join(dirname(modelPath), built.manifest.engine.file);
    const resident = await residentLoop(enginePath, input, BATCH);
    const of = `${name}, trtexec on batches that stay in the GPU's memory`;
    results.add(
      { metric: of, value: resident.imagesPerSecond, unit: 'images/s' },
      { metric: `${of}: GPU busy`, value: resident.gpuPercent, unit: '%' },
    );
    best = resident.imagesPerSecond;
  }
  for (const sessions of [1, 2, 3]) {
    const bare = await bareLoop(options, BATCH, sessions, BARE_SECONDS);
    best = Math.max(best, bare.imagesPerSecond);
    const of = `${name}, bare loop, ${sessions} session${sessions > 1 ? 's' : ''}`;
    results.add(
      { metric: of, value: bare.imagesPerSecond, unit: 'images/s' },
      { metric: `${of}: GPU busy`, value: bare.gpuPercent, unit: '%' },
    );
  }
  for (const batch of SMALLER_BATCHES) {
    // The engine is tuned for the largest batch; how it does with others.
    const { imagesPerSecond } = await bareLoop(options, batch, 1, SHORT_SECONDS);
    results.add({
      metric: `${name}, bare loop, batches of ${batch}`,
      value: imagesPerSecond,
      unit: 'images/s',
    });
  }
  return best;
}

async function measureScores(
  { name, precision }: Case,
  model: LoadedModel,
  modelPath: string,
  pictures: string,
  results: LiveResults,
): Promise<void> {
  const { withFloat, withItsModel } = await scoreAgreement(model, modelPath, BATCH, pictures);
  const of = `${name}, scores on the GPU`;
  results.add(
    { metric: `${of}: pictures`, value: withFloat.images, unit: 'pictures' },
    atLeast(`${of}: best label as in float32`, withFloat.top1, LEAST_TOP1[precision], 'share'),
    {
      metric: `${of}: the same of the ${withFloat.clearImages} where it leads by 0.1`,
      value: withFloat.clearTop1 ?? Number.NaN,
      unit: 'share',
    },
    { metric: `${of}: largest difference from float32`, value: withFloat.maxDifference, unit: 'score' },
    {
      metric: `${of}: best label as the same model on the CPU`,
      value: withItsModel.top1,
      unit: 'share',
    },
    {
      metric: `${of}: largest difference from the same model on the CPU`,
      value: withItsModel.maxDifference,
      unit: 'score',
    },
  );
  for (const { image, from, to } of withFloat.labelFlips)
    console.error(`  flips: ${image}: ${from} -> ${to}`);
}

async function measureCoupled(
  one: Case,
  model: LoadedModel,
  workerImagesPerSecond: number,
  around: Surroundings,
): Promise<void> {
  const { name, provider } = one;
  const coupled = await coupledService({
    modelFolder: dirname(model.modelPath),
    onnxPath: async (batch) =>
      provider === 'cuda'
        ? model.modelPath
        : unpacked(await engineOf(model, one, batch, around), join(around.folder, `${name}, ${batch}`)),
    provider,
    batches: one.coupledBatches,
    cores: `0-${WORKER_CORES - 1}`,
    onRun: (run) =>
      around.results.add({
        metric: `${name}, coupled service, batches of up to ${run.batch}`,
        value: run.imagesPerSecond,
        unit: 'images/s',
      }),
  });
  around.results.add(
    { metric: `${name}, coupled service at its best: GPU busy`, value: coupled.gpuPercent, unit: '%' },
    atLeast(`${name}, worker / coupled service`, workerImagesPerSecond / coupled.imagesPerSecond, 3),
  );
}

/** The engine of a case that is tuned for this batch size, and takes no larger one. */
async function engineOf(
  model: LoadedModel,
  { precision, builderFlags }: Case,
  batch: number,
  { engines, folder }: Surroundings,
): Promise<BuiltEngine> {
  const recipe = await recipeHere(
    model,
    {
      precision,
      builderFlags: [...builderFlags],
      batch: { min: 1, opt: batch, max: batch },
      deviceId: 0,
    },
    process.env,
  );
  return obtainEngine(engines, {
    recipe,
    worker: 'bench',
    build: (wanted) =>
      buildEngine({
        modelPath: model.modelPath,
        recipe: wanted,
        trtexec: 'trtexec',
        timingCachePath: join(folder, 'timing.cache'),
      }),
    onProgress: (message) => console.error(message),
  });
}

async function unpacked({ manifest, engine, wrapper }: BuiltEngine, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, manifest.engine.file), engine);
  await writeFile(join(folder, manifest.wrapper.file), wrapper);
  return join(folder, manifest.wrapper.file);
}
