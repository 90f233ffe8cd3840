import { setTimeout as sleep } from 'node:timers/promises';
import { ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { packIdText, packKey, rangeName } from '#core/job-layout.ts';
import type { PackMessage, VerdictMessage } from '#core/messages.ts';
import { encodePack } from '#core/pack.ts';
import { preprocessHash } from '#core/preprocess-spec.ts';
import { atMost, type BenchResult } from './support/bench.ts';
import { LocalCloud } from './support/local-cloud.ts';
import { samplePhoto } from './support/sample-photos.ts';

const LIVE_IMAGES = 300;
const EVERY_MS = 75;
const BULK_PACKS = 1500;
const IMAGES_PER_PACK = 64;
const MEGAPIXELS = 0.05;
const DISTINCT = 16;
const LOST_AFTER_MS = 60_000;

/**
 * From putting an object to its verdict message on the live lane, without a backfill and with one that keeps the bulk
 * lane full throughout. Its packs are made beforehand: on AWS preprocessing takes nothing from live traffic; the worker is
 * shared.
 */
export async function liveLatencyBench(): Promise<BenchResult[]> {
  await using cloud = await LocalCloud.start({
    config: {
      actions: [{ on: ['pass', 'review', 'reject'], send: true }],
    },
  });
  cloud.functions(['ingest'], { concurrency: 1, processes: 1 });
  const worker = cloud.worker();
  await measure(cloud, 'warm', 20);
  const alone = await measure(cloud, 'alone', LIVE_IMAGES);

  worker.kill('SIGTERM');
  await fillBulkLane(cloud);
  const bulk = await cloud.pipeline.queue('bulk');
  cloud.worker();
  await measure(cloud, 'warm again', 20);
  const beside = await measure(cloud, 'beside', LIVE_IMAGES);
  const left = (await bulk.depth()).waiting;
  if (left === 0) throw new Error('the backfill was done too early: nothing was measured beside it');
  return [
    { metric: 'put to verdict, no backfill, median', value: percentile(alone, 0.5), unit: 'ms' },
    { metric: 'put to verdict, no backfill, p99', value: percentile(alone, 0.99), unit: 'ms' },
    { metric: 'put to verdict beside a backfill, median', value: percentile(beside, 0.5), unit: 'ms' },
    { metric: 'put to verdict beside a backfill, p99', value: percentile(beside, 0.99), unit: 'ms' },
    { metric: 'bulk packs left at the end', value: left, unit: 'packs' },
    atMost('p99 beside a backfill / without', percentile(beside, 0.99) / percentile(alone, 0.99), 3),
  ];
}

/** Packs of a backfill that preprocessing has made already, more than a worker gets through while it is measured. */
async function fillBulkLane(cloud: LocalCloud): Promise<void> {
  const { works } = cloud.pipeline;
  const manifest = await cloud.pipeline.manifest();
  const { heightPx, widthPx } = manifest.preprocess;
  const images = Buffer.alloc(IMAGES_PER_PACK * heightPx * widthPx * 3);
  for (let i = 0; i < images.length; i++) images[i] = (i * 31) >> 3;
  const bulk = await cloud.pipeline.queue('bulk');
  for (let i = 0; i < BULK_PACKS; i++) {
    const id = { job: 'bulk', stage: manifest.name, name: rangeName({ shard: i, range: 0 }) };
    const { header, body } = encodePack({
      header: {
        schema: 1,
        pack: packIdText(id),
        preprocessHash: preprocessHash(manifest.preprocess),
        decoderVersion: 'bench',
        items: Array.from({ length: IMAGES_PER_PACK }, (_, index) => ({
          index,
          ref: { key: `${i}/${index}.jpg`, etag: 'e', bytes: 1 },
          widthPx,
          heightPx,
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
    const origin = { lane: 'bulk', bucket: null, shard: i, range: 0, remakes: 0 } as const;
    const message: PackMessage = {
      v: 1,
      type: 'pack',
      ...id,
      origin,
      pack: { bytes: header.length + body.length },
    };
    await bulk.send([JSON.stringify(message)]);
  }
}

/** Milliseconds from put to verdict for images that come at a steady pace. */
async function measure(cloud: LocalCloud, name: string, images: number): Promise<number[]> {
  const store = cloud.pipeline.bucket(cloud.images);
  const putAt = new Map<string, number>();
  const latencies: number[] = [];
  const listening = (async () => {
    const deadline = performance.now() + images * EVERY_MS + LOST_AFTER_MS;
    while (latencies.length < images && performance.now() < deadline) {
      const { Messages = [] } = await cloud.pipeline.clients.sqs.send(
        new ReceiveMessageCommand({
          QueueUrl: cloud.pipeline.config.queues.verdicts,
          MaxNumberOfMessages: 10,
          WaitTimeSeconds: 5,
        }),
      );
      const now = performance.now();
      for (const { Body = '' } of Messages) {
        const { key } = JSON.parse(Body) as VerdictMessage;
        const at = putAt.get(key);
        if (at !== undefined) latencies.push(now - at);
      }
    }
  })();
  const photos = await Promise.all(Array.from({ length: DISTINCT }, (_, i) => samplePhoto(MEGAPIXELS, i)));
  for (let i = 0; i < images; i++) {
    const key = `live/${name}/${i}.jpg`;
    const photo = photos[i % DISTINCT] as Buffer;
    putAt.set(key, performance.now());
    await store.put(key, photo);
    await sleep(EVERY_MS);
  }
  await listening;
  if (latencies.length < images) throw new Error(`${images - latencies.length} verdicts never came`);
  return latencies;
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number;
}
