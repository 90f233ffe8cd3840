import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Pipeline } from '#adapters/pipeline.ts';
import type { Engine } from '#core/ports/engine.ts';
import { verifyJob } from '#functions/finalizing/verify-job.ts';
import type { Fault } from '#local-aws/server.ts';
import { auditRows } from '#test/support/audit-rows.ts';
import { RunningPipeline } from '#test/support/running-pipeline.ts';

const IMAGES = 24;
const RECEIPT = ['job', 'pack', 'preprocess_ms'];
/** An image of this colour makes the engine of one test throw. */
const UNLUCKY = { r: 1, g: 2, b: 3 };

let photos: ReadonlyMap<string, Buffer>;
let expected: unknown[];

/** Fresh buckets and queues with the photos in them; a message that nobody finishes comes again after two seconds. */
async function start(options: Parameters<typeof RunningPipeline.start>[0] = {}): Promise<RunningPipeline> {
  const running = await RunningPipeline.start({
    visibilitySeconds: 2,
    config: { shardSize: 12, packSize: 4 },
    ...options,
  });
  for (const [key, bytes] of photos) running.aws.objects.putObject(running.images, key, bytes);
  return running;
}

/** The rows of the complete job, whose proof holds. */
async function rowsOf(pipeline: Pipeline, job: string, tables: readonly { key: string }[]) {
  const verification = await verifyJob(job, pipeline.works);
  expect(verification).toMatchObject({ problems: [], unchecked: [] });
  return auditRows(
    pipeline.works,
    tables.map(({ key }) => key),
    RECEIPT,
  );
}

/** The job ends with nothing lost, nothing doubled, and the rows of an undisturbed run. */
async function expectWhole(running: RunningPipeline): Promise<void> {
  const { completion } = await running.reached('job', 'complete', 90_000);
  expect(completion).toMatchObject({ planned: IMAGES, audited: IMAGES - 1, unreadable: 1, failed: 0 });
  expect(await rowsOf(running.pipeline, 'job', completion.tables)).toEqual(expected);
}

beforeAll(async () => {
  const entries = Array.from({ length: IMAGES }, async (_, i): Promise<[string, Buffer]> => {
    const key = `${String(i).padStart(2, '0')}.jpg`;
    if (i === 5) return [key, Buffer.from('no image')];
    const create = {
      width: 64,
      height: 48,
      channels: 3,
      background: { r: i * 9, g: 99, b: 255 - i * 5 },
    } as const;
    return [key, await sharp({ create }).jpeg().toBuffer()];
  });
  photos = new Map(await Promise.all(entries));
  await using running = await start();
  running.startFunctions();
  await running.startWorkerHere();
  await running.submit('job');
  const { completion } = await running.reached('job', 'complete');
  expected = await rowsOf(running.pipeline, 'job', completion.tables);
  expect(expected).toHaveLength(IMAGES);
}, 60_000);

describe('a backfill', () => {
  it.each([
    'part:before',
    'part:after',
    'act:before',
    'act:after',
    'ack:before',
    'ack:after',
    'delete:before',
    'delete:after',
  ])('outlives a worker that is killed at %s', async (point) => {
    await using running = await start();
    running.startFunctions();
    await running.submit('job');
    const dying = running.startWorker({ DIE_AT: point }, 'test/support/dying-worker.ts');
    const [, signal] = await once(dying, 'exit');
    expect(signal).toBe('SIGKILL');
    await running.startWorkerHere();
    await expectWhole(running);
  });

  it('outlives a preprocess function that is killed in mid-shard', async () => {
    let putPacks = 0;
    await using running = await start({
      aws: {
        fault: ({ method, url }) => {
          if (method === 'PUT' && url.includes('/packs/')) putPacks++;
          return undefined;
        },
      },
    });
    running.startFunctions({ only: ['plan'] });
    await running.submit('job');
    await running.reached('job', 'running');
    const host = running.startProcess('local-aws/function-host.ts', ['preprocess', '--concurrency', '1']);
    while (putPacks === 0) await sleep(1);
    host.kill('SIGKILL');
    await once(host, 'exit');
    await running.stopFunctions();
    running.startFunctions();
    await running.startWorkerHere();
    await expectWhole(running);
  });

  it('makes one row of everything when every message is delivered twice', async () => {
    await using running = await start({ aws: { duplicates: () => true } });
    running.startFunctions();
    await running.startWorkerHere();
    await running.startWorkerHere();
    await running.submit('job');
    await expectWhole(running);
  });

  it('outlives leases that run out in mid-batch', async () => {
    let heartbeatsLost = 0;
    await using running = await start({
      visibilitySeconds: 1,
      maxDeliveries: 10,
      aws: {
        fault: ({ action }): Fault => {
          if (!action.startsWith('ChangeMessageVisibility')) return undefined;
          heartbeatsLost++;
          return 'internal-error';
        },
      },
    });
    running.startFunctions();
    let slow = 2;
    const engine = await running.engine();
    const slowAtFirst: Engine = wrapped(engine, async (batch) => {
      if (slow-- > 0) await sleep(2500);
      return engine.run(batch);
    });
    await running.startWorkerHere({ engine: slowAtFirst });
    await running.startWorkerHere();
    await running.submit('job');
    await expectWhole(running);
    expect(heartbeatsLost).toBeGreaterThan(0);
  });

  it.each([
    ['deleted', undefined],
    ['truncated', (pack: Buffer) => pack.subarray(0, pack.length - 100)],
    [
      'bit-flipped',
      (pack: Buffer) => Buffer.from(pack.map((byte, i) => (i === pack.length >> 1 ? byte ^ 4 : byte))),
    ],
  ])('has a pack made again that was %s', async (_, damage) => {
    await using running = await start();
    const { works } = running.pipeline;
    running.startFunctions();
    await running.submit('job');
    const bulk = await running.pipeline.queue('bulk');
    while ((await bulk.depth()).waiting < IMAGES / 4) await sleep(50);
    const { objects } = await works.list({ prefix: 'packs/' });
    for (const { key } of objects.slice(0, 3)) {
      if (damage === undefined) await works.delete([key]);
      else await works.put(key, damage((await works.get(key)).body));
    }
    await running.startWorkerHere();
    await expectWhole(running);
  });

  it.each([['slow-down'], ['internal-error'], ['reset'], ['stall']] as const)(
    'outlives an S3 that answers with %s now and then',
    async (kind) => {
      let requests = 0;
      await using running = await start({
        // Every twentieth request: 5 %, and the same ones each time.
        aws: { fault: ({ service }) => (service === 's3' && ++requests % 20 === 7 ? kind : undefined) },
      });
      running.startFunctions();
      await running.startWorkerHere();
      await running.submit('job');
      await expectWhole(running);
      expect(requests).toBeGreaterThan(100);
    },
  );

  it('outlives an SQS that throttles', async () => {
    let requests = 0;
    await using running = await start({
      aws: { fault: ({ service }) => (service === 'sqs' && ++requests % 5 === 3 ? 'throttled' : undefined) },
    });
    running.startFunctions();
    await running.startWorkerHere();
    await running.submit('job');
    await expectWhole(running);
  });

  it('gives every image its scores but the one that the engine throws on', async () => {
    await using running = await start();
    const create = { width: 64, height: 64, channels: 3, background: UNLUCKY } as const;
    const unlucky = await sharp({ create }).png().toBuffer();
    running.aws.objects.putObject(running.images, '07.jpg', unlucky);
    running.startFunctions();
    const engine = await running.engine();
    const throwing = wrapped(engine, async (batch) => {
      const pixels = batch['images']?.data as Uint8Array;
      for (let i = 0; i < pixels.length; i += 128 * 128 * 3) {
        if (pixels[i] === UNLUCKY.r && pixels[i + 1] === UNLUCKY.g) throw new Error('this very image');
      }
      return engine.run(batch);
    });
    await running.startWorkerHere({ engine: throwing });
    await running.submit('job');
    const { completion } = await running.reached('job', 'complete', 90_000);
    expect(completion).toMatchObject({ planned: IMAGES, audited: IMAGES - 2, unreadable: 1, failed: 1 });
    const rows = await rowsOf(running.pipeline, 'job', completion.tables);
    expect(rows.find((row) => row['key'] === '07.jpg')).toMatchObject({
      state: 'failed',
      error_code: 'engine-failed',
      error_detail: 'this very image',
    });
  });

  it('does not mind clocks that differ by an hour', async () => {
    await using running = await start();
    running.startFunctions();
    running.startWorker({
      CLOCK_SKEW_MS: '3600000',
      NODE_OPTIONS: '--import ./test/support/skewed-clock.mjs',
    });
    running.startWorker({
      CLOCK_SKEW_MS: '-3600000',
      NODE_OPTIONS: '--import ./test/support/skewed-clock.mjs',
    });
    await running.submit('job');
    await expectWhole(running);
  });

  it('sends malformed and foreign messages to the dead letters, with a reason, and goes on', async () => {
    await using running = await start();
    running.startFunctions();
    await running.startWorkerHere();
    const names = ['jobs', 'shards', 'events', 'live', 'bulk'] as const;
    for (const name of names) {
      await (await running.pipeline.queue(name)).send(['no JSON', '{"v":1,"type":"something else"}']);
    }
    await running.submit('job');
    await expectWhole(running);
    const letters = async () => (await running.pipeline.works.list({ prefix: 'dead/unknown/' })).objects;
    while ((await letters()).length < 2 * names.length) await sleep(100);
    for (const { key } of await letters()) {
      const letter = JSON.parse((await running.pipeline.works.get(key)).body.toString()) as {
        reason: string;
      };
      expect(letter.reason).toMatch(/not a message of this queue|expected an S3 event/);
    }
  });
});

function wrapped(engine: Engine, run: Engine['run']): Engine {
  const { provider, inputs, outputs } = engine;
  return { provider, inputs, outputs, run, [Symbol.asyncDispose]: async () => undefined };
}
