import { randomFillSync } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadedModel } from '#adapters/model-folder.ts';
import type { OnnxProvider } from '#adapters/onnx-engine.ts';
import type { BuiltEngine, Precision } from '#core/engine-artifact.ts';
import { packIdText, packKey, rangeName } from '#core/job-layout.ts';
import type { PackMessage } from '#core/messages.ts';
import { encodePack } from '#core/pack.ts';
import { preprocessHash } from '#core/preprocess-spec.ts';
import { EngineStore } from '#workers/engine/engine-store.ts';
import { median } from '../support/bench.ts';
import { LocalCloud } from '../support/local-cloud.ts';
import { GpuUsage } from './gpu-usage.ts';
import { type ProcessorTime, processorTimeOf } from './processor-time.ts';

const PUTS_AT_A_TIME = 8;

export interface FedWorkerOptions {
  readonly model: LoadedModel;
  readonly modelFolder: string;
  /** Published before the worker starts, so that it builds nothing. */
  readonly built?: BuiltEngine;
  readonly provider: OnnxProvider;
  readonly precision: Precision;
  readonly builderFlags: readonly string[];
  /** The worker is fed with so many packs of so many images. */
  readonly packs: number;
  readonly imagesPerPack: number;
  readonly batchSize: number;
  readonly prefetchPacks: number;
  readonly sessions: number;
  readonly threads: number;
  /** That fetch and check packs; by default as many as the worker takes by itself. */
  readonly fetchThreads?: number;
  /** The worker's processor cores, and those of all else. */
  readonly cores: string;
  readonly otherCores: string;
}

export interface FedWorker {
  readonly imagesPerSecond: number;
  readonly gpuPercent: number;
  /** From the start of the process to its first answer. */
  readonly secondsToFirstPart: number;
  readonly lines: readonly string[];
  /** Processor cores that it kept busy, and the share of one that its main thread did. */
  readonly coresBusy: number;
  readonly mainThreadBusy: number;
  /** What the model's time went into, in percent. */
  readonly feed: Readonly<Record<string, number>>;
}

const FEEDS = ['FeedRun', 'FeedWaitFetch', 'FeedWaitMessage', 'FeedWaitCommit'];

/** `sluice worker` on packs that lie in an S3 on loopback: images a second while it is busy, by what is left in the queue. */
export async function fedWorker(options: FedWorkerOptions): Promise<FedWorker> {
  const { model, packs, imagesPerPack, provider, precision, batchSize, sessions, prefetchPacks } = options;
  await using cloud = await LocalCloud.start({
    cores: options.otherCores,
    config: {
      model: options.modelFolder,
      worker: {
        providers: [provider],
        precision,
        builderFlags: options.builderFlags,
        batchSize,
        sessions,
        prefetchPacks,
        ...(options.fetchThreads && { fetchThreads: options.fetchThreads }),
        maxWaitMs: 200,
      },
    },
  });
  const { works } = cloud.pipeline;
  if (options.built !== undefined) await new EngineStore(works).publish(options.built);
  const bulk = await cloud.pipeline.queue('bulk');
  const { widthPx, heightPx } = model.manifest.preprocess;
  const images = randomFillSync(Buffer.allocUnsafe(imagesPerPack * widthPx * heightPx * 3));
  const messages: PackMessage[] = [];
  const todo = Array.from({ length: packs }, (_, range) => range);
  await Promise.all(
    Array.from({ length: PUTS_AT_A_TIME }, async () => {
      for (let range = todo.pop(); range !== undefined; range = todo.pop()) {
        const id = { job: 'bench', stage: model.manifest.name, name: rangeName({ shard: 0, range }) };
        const { header, body } = encodePack({
          header: {
            schema: 1,
            pack: packIdText(id),
            preprocessHash: preprocessHash(model.manifest.preprocess),
            decoderVersion: 'bench',
            items: Array.from({ length: imagesPerPack }, (_, index) => ({
              index,
              ref: { key: `${range}/${index}.jpg`, etag: 'e', bytes: 1 },
              widthPx: 640,
              heightPx: 480,
              format: 'jpeg',
              contentHash: '0'.repeat(16),
              perceptualHash: null,
              preprocessMs: 1,
            })),
            refused: [],
          },
          heightPx,
          widthPx,
          images,
        });
        await works.put(packKey(id), [header, body]);
        messages.push({
          v: 1,
          type: 'pack',
          ...id,
          origin: { lane: 'bulk', bucket: null, shard: 0, range, remakes: 0 },
          pack: { bytes: header.length + body.length },
        });
      }
    }),
  );
  await bulk.send(messages.map((message) => JSON.stringify(message)));

  using usage = new GpuUsage();
  const lines: string[] = [];
  const feeds: Record<string, number>[] = [];
  const startedMs = performance.now();
  const process = cloud.worker({
    flags: ['--threads', String(options.threads)],
    cores: options.cores,
    onLine: (line) => {
      if (!line.includes('_aws')) lines.push(line);
      else feeds.push(JSON.parse(line) as Record<string, number>);
    },
  });
  const left: { atMs: number; packs: number; processor: ProcessorTime }[] = [];
  for (let rest = packs; rest > 0; ) {
    await sleep(50);
    const depth = await bulk.depth();
    rest = depth.waiting + depth.leased;
    if (process.exitCode !== null || performance.now() - startedMs > 240_000)
      throw new Error(`the worker did not finish:\n${lines.slice(-10).join('\n')}`);
    left.push({
      atMs: performance.now(),
      packs: rest,
      processor: await processorTimeOf(process.pid as number),
    });
  }
  const first = left.find((sample) => sample.packs < packs)?.atMs ?? Number.NaN;
  // The middle of the run: without its start, and without the last packs, which fill no batch.
  const from = left.find((sample) => sample.packs <= packs * 0.85) as (typeof left)[number];
  const to = left.find((sample) => sample.packs <= packs * 0.15) as (typeof left)[number];
  const seconds = (to.atMs - from.atMs) / 1000;
  return {
    imagesPerSecond: ((from.packs - to.packs) * imagesPerPack) / seconds,
    gpuPercent: usage.between(from.atMs, to.atMs),
    coresBusy: (to.processor.all - from.processor.all) / seconds,
    mainThreadBusy: (to.processor.mainThread - from.processor.mainThread) / seconds,
    secondsToFirstPart: (first - startedMs) / 1000,
    lines,
    feed: Object.fromEntries(
      FEEDS.map((name) => [name, median(feeds.slice(1, -1).map((feed) => feed[name] ?? 0))]),
    ),
  };
}
