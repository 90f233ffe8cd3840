import { rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FolderStore } from '#adapters/folder-store.ts';
import { listedImages } from '#adapters/image-sources.ts';
import { type LoadedModel, loadModel } from '#adapters/model-folder.ts';
import { cpuEngine } from '#cli/local-job.ts';
import { runLocalPipeline } from '#cli/local-pipeline.ts';
import { RunConfig } from '#core/config.ts';
import { plannedStage } from '#core/plan.ts';
import type { Engine } from '#core/ports/engine.ts';
import { measurementsFrom } from '#core/simulation/measurements.ts';
import { Scenario } from '#core/simulation/scenario.ts';
import { simulate } from '#core/simulation/simulate.ts';
import type { StoreLocation } from '#core/store-location.ts';
import { planJob } from '#functions/planning/plan-job.ts';
import type { BuiltPack, PackRequest } from '#functions/preprocessing/build-pack.ts';
import { PackProcesses } from '#functions/preprocessing/pack-processes.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { atMost, type BenchResult } from './support/bench.ts';
import { writeSamplePhotos } from './support/sample-photos.ts';
import { simulatedHere } from './support/simulated-here.ts';
import { StageClock } from './support/stage-clock.ts';

const MEGAPIXELS = 1;
const SHORT = 320;
const LONG = 1600;
const PACK_SIZE = 32;
const WITHIN = 0.15;
/** A model that takes so long for an image, so that the other stage is the slow one, and the backlog is full. */
const SLOW_MODEL_MS = 20;

/**
 * Does the simulation of `sluice plan-capacity` tell how long a real run takes? Service times are measured in a short run on
 * this machine; from them a run of five times the images is predicted, then run. Once decoding is the slow stage, and once the model.
 */
export async function capacityBench(): Promise<BenchResult[]> {
  await using folder = await temporaryFolder();
  const photos = join(folder.path, 'photos');
  await writeSamplePhotos(photos, { megapixels: MEGAPIXELS, images: LONG });
  const results: BenchResult[] = [];
  for (const { name, extraMs } of [
    { name: 'slow decoding', extraMs: 0 },
    { name: 'slow model', extraMs: SLOW_MODEL_MS },
  ]) {
    await using runs = await MeasuredRuns.open(photos, join(folder.path, 'works'), extraMs);
    // The first run fills caches and starts what stays.
    await runs.run(SHORT);
    const short = await runs.run(SHORT);
    const predictedS = predictedSeconds(LONG, short);
    const long = await runs.run(LONG);
    results.push(
      { metric: `${name}: a process, for an image`, value: short.decodeMs, unit: 'ms' },
      { metric: `${name}: the model, for an image`, value: short.modelMs, unit: 'ms' },
      { metric: `${name}: ${LONG} images, predicted`, value: predictedS, unit: 's' },
      { metric: `${name}: ${LONG} images, measured`, value: long.seconds, unit: 's' },
      { metric: `${name}: predicted / measured`, value: predictedS / long.seconds, unit: 'ratio' },
      atMost(`${name}: off by`, Math.abs(predictedS / long.seconds - 1), WITHIN),
    );
  }
  return results;
}

interface MeasuredRun {
  readonly seconds: number;
  /** Of a decoding process and of the model, for one image, while the other works too. */
  readonly decodeMs: number;
  readonly modelMs: number;
}

/** One machine as the simulation sees it: an invocation is a process that makes one pack; the one worker is there from the start. */
function predictedSeconds(images: number, { decodeMs, modelMs }: MeasuredRun): number {
  const config = RunConfig.parse({});
  const processes = availableParallelism();
  const here = simulatedHere({ coreMs: decodeMs, modelMs, megapixels: MEGAPIXELS });
  const scenario = Scenario.parse({
    ...here.scenario,
    images,
    packSize: PACK_SIZE,
    shardSize: PACK_SIZE,
    functions: { concurrency: processes, firstInvocations: processes, handedBackS: 0.005 },
    maxBacklogPacks: config.backlogPacks,
    worker: { batchSize: config.batchSize },
    granularity: { cohort: 1, packsPerStep: 1, lotS: (config.batchSize * modelMs) / 1000 },
  });
  return simulate(scenario, measurementsFrom(here.measurements)).inferredS;
}

/** Runs of the pipeline on this machine, with the same processes and the same engine, and a clock on each. */
class MeasuredRuns implements AsyncDisposable {
  readonly #config = RunConfig.parse({ packSize: PACK_SIZE });
  readonly #photos: string;
  readonly #works: string;
  readonly #model: LoadedModel;
  readonly #processes: TimedProcesses;
  readonly #engine: TimedEngine;

  private constructor(photos: string, works: string, model: LoadedModel, engine: TimedEngine) {
    this.#photos = photos;
    this.#works = works;
    this.#model = model;
    this.#engine = engine;
    const { limits, imagesInFlight, maxInFlightBytes } = this.#config;
    this.#processes = new TimedProcesses(availableParallelism(), {
      works: { kind: 'folder', root: works },
      limits,
      options: { maxImageBytes: limits.maxImageBytes, imagesInFlight, maxInFlightBytes },
    });
  }

  static async open(photos: string, works: string, extraMs: number): Promise<MeasuredRuns> {
    const config = RunConfig.parse({});
    const model = await loadModel(config.model);
    const engine = new TimedEngine(await cpuEngine(model, config), extraMs);
    return new MeasuredRuns(photos, works, model, engine);
  }

  /** Audits the first so many photos. */
  async run(images: number): Promise<MeasuredRun> {
    await rm(this.#works, { recursive: true, force: true });
    const works = new FolderStore(this.#works);
    const { manifest } = this.#model;
    const all = listedImages(new FolderStore(this.#photos), {
      include: [],
      exclude: [],
      excludePrefixes: [],
    });
    const plan = await planJob(
      {
        job: 'bench',
        source: 'photos',
        bucket: null,
        createdAt: new Date(),
        stage: plannedStage(manifest),
        shardSize: this.#config.shardSize,
        packSizeFor: () => PACK_SIZE,
      },
      first(all, images),
      works,
    );
    const source: StoreLocation = { kind: 'folder', root: this.#photos };
    this.#processes.clock.restart();
    this.#engine.clock.restart();
    const startedMs = performance.now();
    await runLocalPipeline(
      {
        source,
        plan,
        config: this.#config,
        manifest,
        policy: manifest.policy,
        softwareVersion: 'bench',
        stop: new AbortController().signal,
      },
      { works, processes: this.#processes, engine: this.#engine, onPart: () => undefined },
    );
    return {
      seconds: (performance.now() - startedMs) / 1000,
      decodeMs: this.#processes.clock.busyMs / images,
      modelMs: this.#engine.clock.busyMs / images,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#processes[Symbol.asyncDispose]();
    await this.#engine[Symbol.asyncDispose]();
  }
}

class TimedProcesses extends PackProcesses {
  readonly clock = new StageClock(this.concurrency);

  override build(request: PackRequest, signal?: AbortSignal): Promise<BuiltPack> {
    return this.clock.measure(() => super.build(request, signal));
  }
}

/** An engine with a clock, that may be made slower. */
class TimedEngine implements Engine {
  readonly clock = new StageClock(1);
  readonly #inner: Engine;
  readonly #extraMs: number;

  constructor(inner: Engine, extraMs: number) {
    this.#inner = inner;
    this.#extraMs = extraMs;
  }

  get provider(): string {
    return this.#inner.provider;
  }

  get inputs(): Engine['inputs'] {
    return this.#inner.inputs;
  }

  get outputs(): Engine['outputs'] {
    return this.#inner.outputs;
  }

  run(
    batch: Parameters<Engine['run']>[0],
    options?: Parameters<Engine['run']>[1],
  ): ReturnType<Engine['run']> {
    const images = Object.values(batch)[0]?.shape[0] ?? 0;
    return this.clock.measure(async () => {
      if (this.#extraMs > 0) await sleep(images * this.#extraMs);
      return this.#inner.run(batch, options);
    });
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#inner[Symbol.asyncDispose]();
  }
}

async function* first<T>(all: AsyncIterable<T>, count: number): AsyncGenerator<T> {
  let left = count;
  for await (const one of all) {
    if (left-- <= 0) return;
    yield one;
  }
}
