import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import type { VerdictMessage } from '#core/messages.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { atMost, type BenchResult } from './support/bench.ts';
import { LocalCloud } from './support/local-cloud.ts';
import { samplePhoto, writeSamplePhotos } from './support/sample-photos.ts';

const LIVE_IMAGES = 200;
const EVERY_MS = 150;
const BULK_IMAGES = 16_000;
const MEGAPIXELS = 0.05;
const LOST_AFTER_MS = 60_000;

/**
 * From putting an object to its verdict message on the live lane, without a backfill and with one that keeps the bulk
 * lane full throughout. Preprocessing has made the packs beforehand, as on AWS it takes nothing from live traffic; the
 * worker is shared.
 */
export async function liveLatencyBench(): Promise<BenchResult[]> {
  await using folder = await temporaryFolder();
  const photos = join(folder.path, 'photos');
  await writeSamplePhotos(photos, { megapixels: MEGAPIXELS, images: BULK_IMAGES });
  await using cloud = await LocalCloud.start({
    photos,
    config: {
      actions: [{ on: ['pass', 'review', 'reject'], send: true }],
      // On a processor a batch takes a hundred times as long as on a GPU.
      worker: { batchSize: 64 },
    },
  });
  cloud.functions(['ingest'], { concurrency: 1, processes: 1 });
  const worker = cloud.worker();
  await measure(cloud, 'warm', 20);
  const alone = await measure(cloud, 'alone', LIVE_IMAGES);

  worker.kill('SIGTERM');
  cloud.functions(['plan'], { concurrency: 1, processes: 1 });
  const preprocess = cloud.functions(['preprocess'], { concurrency: 2, processes: 2 });
  await cloud.submit('bulk');
  const bulk = await cloud.pipeline.queue('bulk');
  while ((await bulk.depth()).waiting < BULK_IMAGES / 64) await sleep(200);
  preprocess.kill('SIGTERM');
  await sleep(1000);

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
  for (let i = 0; i < images; i++) {
    const key = `live/${name}/${i}.jpg`;
    const photo = await samplePhoto(MEGAPIXELS, 1000 + i);
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
