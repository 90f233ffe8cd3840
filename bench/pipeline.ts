import { mkdir, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { FolderStore } from '#adapters/folder-store.ts';
import { listedImages } from '#adapters/image-sources.ts';
import { MemoryQueue } from '#adapters/memory-queue.ts';
import { loadModel } from '#adapters/model-folder.ts';
import { cpuEngine, decodingProcesses } from '#cli/local-job.ts';
import { runLocalPipeline } from '#cli/local-pipeline.ts';
import { localPackSize, RunConfig } from '#core/config.ts';
import { type Plan, plannedStage } from '#core/plan.ts';
import type { StoreLocation } from '#core/store-location.ts';
import { planJob } from '#functions/planning/plan-job.ts';
import type { PackRequest } from '#functions/preprocessing/build-pack.ts';
import type { PackProcesses } from '#functions/preprocessing/pack-processes.ts';
import { preprocessShard } from '#functions/preprocessing/preprocess-shard.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { InferenceWorker } from '#workers/inference-worker.ts';
import { atLeast, type BenchResult, median } from './support/bench.ts';
import { writeSamplePhotos } from './support/sample-photos.ts';

const ROUNDS = 7;
/** Image sizes, and how many images make a round of a few seconds. */
const SIZES = [
  { name: '12 MP', megapixels: 12, images: 400 },
  { name: '1 MP', megapixels: 1, images: 1600 },
] as const;

interface DecodingRun {
  readonly perSecond: number;
  /** Which part of the time of all cores the decoding processes computed. */
  readonly decodingShare: number;
}

/**
 * Does each stage of the pipeline, at its default settings, keep the others from their work? Compares the whole
 * pipeline with its stages alone: decoding (all processes) and inference, in turn, on the same images. Each run of the
 * whole stands between two of decoding alone, so that a machine that becomes slower or faster meanwhile favours neither.
 */
export async function pipelineBench(): Promise<BenchResult[]> {
  const results: BenchResult[] = [];
  for (const size of SIZES) {
    await using folder = await temporaryFolder();
    const photos = join(folder.path, 'photos');
    await writeSamplePhotos(photos, size);
    const stage = await Stages.open(photos, join(folder.path, 'works'));
    const rates = { preprocess: [] as number[], inference: [] as number[], pipeline: [] as number[] };
    const limits: number[] = [];
    const ratios: number[] = [];
    const shares: number[] = [];
    // These fill caches and start what stays.
    await stage.preprocessAlone();
    await stage.inferenceAlone();
    await stage.wholePipeline();
    let before = await stage.preprocessAlone();
    for (let round = 0; round < ROUNDS; round++) {
      const inference = await stage.inferenceAlone();
      const pipeline = await stage.wholePipeline();
      const after = await stage.preprocessAlone();
      const preprocess = mean(before, after, ({ perSecond }) => perSecond);
      rates.preprocess.push(preprocess);
      rates.inference.push(inference.perSecond);
      rates.pipeline.push(pipeline.perSecond);
      ratios.push(pipeline.perSecond / Math.min(preprocess, inference.perSecond));
      shares.push(pipeline.decodingShare / mean(before, after, ({ decodingShare }) => decodingShare));
      // Alone, decoding has all cores; together, inference takes its seconds from the same cores.
      const decodingSeconds = availableParallelism() / preprocess;
      limits.push(decodingSeconds / (decodingSeconds + inference.cpuSeconds));
      before = after;
    }
    results.push(
      { metric: `${size.name}: preprocess alone`, value: median(rates.preprocess), unit: 'images/s' },
      { metric: `${size.name}: inference alone`, value: median(rates.inference), unit: 'images/s' },
      { metric: `${size.name}: pipeline`, value: median(rates.pipeline), unit: 'images/s' },
      atLeast(`${size.name}: pipeline / slowest stage`, median(ratios), 0.95),
      // Steadier than the above on a machine whose speed varies; where it does not, and the stages leave each other's caches alone, equal to it.
      { metric: `${size.name}: decoding's share of the cores / alone`, value: median(shares), unit: 'ratio' },
      { metric: `${size.name}: the limit, if no core were ever idle`, value: median(limits), unit: 'ratio' },
    );
  }
  return results;
}

function mean<T>(a: T, b: T, of: (one: T) => number): number {
  return (of(a) + of(b)) / 2;
}

const QUEUE = { visibilityMs: 600_000, maxDeliveries: 3 };

/** One job's stages, to be run alone or together. Each run starts from an empty work folder. */
class Stages {
  readonly #photos: string;
  readonly #works: string;
  readonly #config = RunConfig.parse({});

  private constructor(photos: string, works: string) {
    this.#photos = photos;
    this.#works = works;
  }

  static async open(photos: string, works: string): Promise<Stages> {
    await mkdir(works, { recursive: true });
    return new Stages(photos, works);
  }

  /** Decoding, resizing and packing, with nobody taking the packs. */
  async preprocessAlone(): Promise<DecodingRun> {
    const { plan, works } = await this.#plan();
    await using processes = this.#processes();
    const packs = new MemoryQueue(QUEUE);
    await this.#warm(plan, processes);
    const finish = begin(processes);
    for (const { shard } of plan.shards) {
      const ports = {
        works,
        packs,
        build: (request: PackRequest) => processes.build(request),
        concurrency: processes.concurrency,
        reserve: async () => ({ [Symbol.dispose]: () => undefined }),
      };
      const message = { v: 1, type: 'shard', job: plan.job, shard, remakes: 0 } as const;
      await preprocessShard(message, plan, ports, { source: this.#source });
    }
    return finish(plan.images);
  }

  /**
   * Images/s of the worker, and its processor seconds an image, over packs that lie ready: those of the last
   * {@link preprocessAlone}.
   */
  async inferenceAlone(): Promise<{ perSecond: number; cpuSeconds: number }> {
    const { plan } = await this.#plan({ keep: true });
    const works = new FolderStore(this.#works);
    const packs = new MemoryQueue(QUEUE);
    for (const { shard } of plan.shards) {
      const build = (): never => {
        throw new Error('all packs are there');
      };
      const message = { v: 1, type: 'shard', job: plan.job, shard, remakes: 0 } as const;
      const ports = {
        works,
        packs,
        build,
        concurrency: 1,
        reserve: async () => ({ [Symbol.dispose]: () => undefined }),
      };
      await preprocessShard(message, plan, ports, { source: this.#source });
    }
    const model = await loadModel(this.#config.model);
    await using engine = await cpuEngine(model, this.#config);
    const stop = new AbortController();
    let images = 0;
    const worker = new InferenceWorker(
      {
        manifest: model.manifest,
        softwareVersion: 'bench',
        batchSize: this.#config.batchSize,
        maxWaitMs: 0,
        prefetchPacks: 2,
      },
      {
        works,
        bulk: packs,
        engine,
        policyOf: async () => model.manifest.policy,
        onPart: (records) => {
          images += records.length;
          if (images === plan.images) stop.abort();
        },
      },
    );
    const startedMs = performance.now();
    const before = process.cpuUsage();
    await worker.run(stop.signal);
    const { user, system } = process.cpuUsage(before);
    return { perSecond: perSecond(plan.images, startedMs), cpuSeconds: (user + system) / 1e6 / plan.images };
  }

  async wholePipeline(): Promise<DecodingRun> {
    const { plan, works } = await this.#plan();
    const model = await loadModel(this.#config.model);
    await using engine = await cpuEngine(model, this.#config);
    await using processes = this.#processes();
    await this.#warm(plan, processes);
    const { manifest } = model;
    const finish = begin(processes);
    await runLocalPipeline(
      {
        source: this.#source,
        plan,
        config: this.#config,
        manifest,
        policy: manifest.policy,
        softwareVersion: 'bench',
        stop: new AbortController().signal,
      },
      { works, processes, engine, onPart: () => undefined },
    );
    return finish(plan.images);
  }

  #processes(): PackProcesses {
    return decodingProcesses(this.#config, { kind: 'folder', root: this.#works });
  }

  get #source(): StoreLocation {
    return { kind: 'folder', root: this.#photos };
  }

  /** Starting the processes is not what is measured. */
  async #warm(plan: Plan, processes: PackProcesses): Promise<void> {
    const [first] = (await new FolderStore(this.#photos).list()).objects;
    await Promise.all(
      Array.from({ length: availableParallelism() }, (_, range) =>
        processes.build({
          id: { job: 'warm', stage: plan.stage.name, name: String(range) },
          source: this.#source,
          refs: [first, first].flatMap((ref) => (ref === undefined ? [] : [ref])),
          preprocess: plan.stage.preprocess,
          preprocessHash: plan.stage.preprocessHash,
        }),
      ),
    );
  }

  async #plan(options: { keep?: boolean } = {}): Promise<{ plan: Plan; works: FolderStore }> {
    if (options.keep !== true) await rm(this.#works, { recursive: true, force: true });
    const works = new FolderStore(this.#works);
    const { manifest } = await loadModel(this.#config.model);
    const plan = await planJob(
      {
        job: 'bench',
        source: 'photos',
        bucket: null,
        createdAt: new Date(),
        stage: plannedStage(manifest),
        shardSize: this.#config.shardSize,
        packSizeFor: (images) => localPackSize(images, availableParallelism()),
      },
      listedImages(new FolderStore(this.#photos), { include: [], exclude: [], excludePrefixes: [] }),
      works,
    );
    return { plan, works };
  }
}

/** Begins to measure what decoding processes do. @returns ends it. */
function begin(processes: PackProcesses): (images: number) => DecodingRun {
  const startedMs = performance.now();
  const before = processes.used.cpuMs;
  return (images) => {
    const coreMs = availableParallelism() * (performance.now() - startedMs);
    return {
      perSecond: perSecond(images, startedMs),
      decodingShare: (processes.used.cpuMs - before) / coreMs,
    };
  };
}

function perSecond(images: number, startedMs: number): number {
  return images / ((performance.now() - startedMs) / 1000);
}
