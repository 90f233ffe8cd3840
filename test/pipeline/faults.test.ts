import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Engine, type InputTensor, piecesOf } from '#core/ports/engine.ts';
import type { Fault } from '#local-aws/server.ts';
import { DisturbedBackfill, IMAGES, verifiedRows, wrapped } from '#test/support/disturbed-backfill.ts';

/** An image of this colour makes the engine of one test throw. */
const UNLUCKY = { r: 1, g: 2, b: 3 };

let backfill: DisturbedBackfill;
beforeAll(async () => {
  backfill = await DisturbedBackfill.prepare();
});

describe('a backfill', () => {
  it('makes one row of everything when every message is delivered twice', async () => {
    await using running = await backfill.start({ aws: { duplicates: () => true } });
    running.startFunctions();
    await running.startWorkerHere();
    await running.startWorkerHere();
    await running.submit('job');
    await backfill.expectWhole(running);
  });

  it('outlives leases that run out in mid-batch', async () => {
    let heartbeatsLost = 0;
    await using running = await backfill.start({
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
    await backfill.expectWhole(running);
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
    await using running = await backfill.start();
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
    await backfill.expectWhole(running);
  });

  it.each([['slow-down'], ['internal-error'], ['reset'], ['stall']] as const)(
    'outlives an S3 that answers with %s now and then',
    async (kind) => {
      let requests = 0;
      await using running = await backfill.start({
        // Every twentieth request: 5 %, and the same ones each time.
        aws: { fault: ({ service }) => (service === 's3' && ++requests % 20 === 7 ? kind : undefined) },
      });
      running.startFunctions();
      await running.startWorkerHere();
      await running.submit('job');
      await backfill.expectWhole(running);
      expect(requests).toBeGreaterThan(100);
    },
  );

  it('outlives an SQS that throttles', async () => {
    let requests = 0;
    await using running = await backfill.start({
      aws: { fault: ({ service }) => (service === 'sqs' && ++requests % 5 === 3 ? 'throttled' : undefined) },
    });
    running.startFunctions();
    await running.startWorkerHere();
    await running.submit('job');
    await backfill.expectWhole(running);
  });

  it('gives every image its scores but the one that the engine throws on', async () => {
    await using running = await backfill.start();
    const create = { width: 64, height: 64, channels: 3, background: UNLUCKY } as const;
    const unlucky = await sharp({ create }).png().toBuffer();
    running.aws.objects.putObject(running.images, '07.jpg', unlucky);
    running.startFunctions();
    const engine = await running.engine();
    const throwing = wrapped(engine, async (batch) => {
      for (const pixels of piecesOf(batch['images'] as InputTensor)) {
        for (let i = 0; i < pixels.length; i += 128 * 128 * 3) {
          if (pixels[i] === UNLUCKY.r && pixels[i + 1] === UNLUCKY.g) throw new Error('this very image');
        }
      }
      return engine.run(batch);
    });
    await running.startWorkerHere({ engine: throwing });
    await running.submit('job');
    const { completion } = await running.reached('job', 'complete', 90_000);
    expect(completion).toMatchObject({ planned: IMAGES, audited: IMAGES - 2, unreadable: 1, failed: 1 });
    const rows = await verifiedRows(running.pipeline, completion.tables);
    expect(rows.find((row) => row['key'] === '07.jpg')).toMatchObject({
      state: 'failed',
      error_code: 'engine-failed',
      error_detail: 'this very image',
    });
  });

  it('sends malformed and foreign messages to the dead letters, with a reason, and goes on', async () => {
    await using running = await backfill.start();
    running.startFunctions();
    await running.startWorkerHere();
    const names = ['jobs', 'shards', 'events', 'live', 'bulk'] as const;
    for (const name of names) {
      await (await running.pipeline.queue(name)).send(['no JSON', '{"v":1,"type":"something else"}']);
    }
    await running.submit('job');
    await backfill.expectWhole(running);
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
