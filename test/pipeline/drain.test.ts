import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { FakeInstanceMetadata } from '#test/support/fake-instance-metadata.ts';
import { RunningPipeline } from '#test/support/running-pipeline.ts';

const IMAGES = 240;

/** A pipeline with many packs waiting and a visibility time-out that nobody would wait for. */
async function loaded(): Promise<RunningPipeline> {
  const running = await RunningPipeline.start({
    visibilitySeconds: 600,
    config: { shardSize: 60, packSize: 2, worker: { batchSize: 2 } },
  });
  const create = { width: 64, height: 64, channels: 3, background: '#345678' } as const;
  const bytes = await sharp({ create }).jpeg().toBuffer();
  for (let i = 0; i < IMAGES; i++) running.aws.objects.putObject(running.images, `${i}.jpg`, bytes);
  running.startFunctions();
  await running.submit('job');
  await running.reached('job', 'running');
  return running;
}

async function someParts(running: RunningPipeline): Promise<void> {
  while ((await running.pipeline.works.list({ prefix: 'parts/' })).objects.length < 3) await sleep(5);
}

/** Whatever it held has come back at once: else the job would wait for the visibility time-out. */
async function finishesWithAnother(running: RunningPipeline): Promise<void> {
  await running.startWorkerHere();
  const { completion } = await running.reached('job', 'complete', 50_000);
  expect(completion).toMatchObject({ planned: IMAGES, audited: IMAGES, failed: 0 });
}

/** What the one worker says of itself. */
async function health(running: RunningPipeline): Promise<unknown> {
  let port: number | undefined;
  while (port === undefined) {
    port = Number(/"healthPort":(\d+)/.exec(running.log.join(''))?.[1]) || undefined;
    await sleep(20);
  }
  const response = await fetch(`http://127.0.0.1:${port}/health`);
  expect(response.status).toBe(200);
  return response.json();
}

describe('a worker', () => {
  it('finishes what it holds and gives the rest back at once on SIGTERM', async () => {
    await using running = await loaded();
    const worker = running.startWorker();
    await someParts(running);
    worker.kill('SIGTERM');
    expect(await once(worker, 'exit')).toEqual([0, null]);
    await finishesWithAnother(running);
  });

  it('does the same when EC2 is about to take its instance away', async () => {
    await using metadata = await FakeInstanceMetadata.start();
    await using running = await loaded();
    const worker = running.startWorker({ AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.endpoint });
    await someParts(running);
    metadata.answers.set('spot/instance-action', '{"action":"terminate","time":"2026-11-20T08:24:00Z"}');
    expect(await once(worker, 'exit')).toEqual([0, null]);
    await finishesWithAnother(running);
  });

  it('takes no work where its instance had the notice before it, and is well until SIGTERM', async () => {
    await using metadata = await FakeInstanceMetadata.start();
    metadata.answers.set('events/recommendations/rebalance', '{"noticeTime":"2026-11-20T08:22:00Z"}');
    await using running = await loaded();
    const env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.endpoint };
    const worker = running.startWorker(env, undefined, ['--health-port', '0']);
    while (!running.log.join('').includes('no work is taken')) await sleep(20);
    expect(await health(running)).toMatchObject({ healthy: true });
    worker.kill('SIGTERM');
    expect(await once(worker, 'exit')).toEqual([0, null]);
    expect((await running.pipeline.works.list({ prefix: 'parts/' })).objects).toEqual([]);
    await finishesWithAnother(running);
  });

  it('says how it is, on a port and in the store', async () => {
    await using running = await loaded();
    running.startWorker({}, undefined, ['--health-port', '0']);
    expect(await health(running)).toMatchObject({ healthy: true, draining: false });
    await running.reached('job', 'complete');
    const lines = running.log.join('').split('\n');
    const metrics = lines.filter((line) => line.includes('"_aws"')).map((line) => JSON.parse(line));
    expect(metrics.some((line) => line['Images'] > 0 && line['FeedRun'] > 0)).toBe(true);
    const [status] = (await running.pipeline.works.list({ prefix: 'workers/' })).objects;
    expect(status).toBeDefined();
  });
});
