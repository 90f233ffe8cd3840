import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { verifyJob } from '#functions/finalizing/verify-job.ts';
import { RunningPipeline } from '#test/support/running-pipeline.ts';

const IMAGES = 160;
const LIMIT = 20;

describe('backpressure', () => {
  it('keeps the pack backlog under its limit while no worker runs, and everything is done once one does', async () => {
    await using running = await RunningPipeline.start({
      visibilitySeconds: 30,
      config: { shardSize: 16, packSize: 2, maxBacklogPacks: LIMIT, preprocess: { concurrency: 4 } },
    });
    const create = { width: 32, height: 32, channels: 3, background: '#123456' } as const;
    const bytes = await sharp({ create }).png().toBuffer();
    for (let i = 0; i < IMAGES; i++) running.aws.objects.putObject(running.images, `${i}.png`, bytes);
    running.startFunctions({ handedBackDelayMs: 1000 });
    await running.submit('job');
    await running.reached('job', 'running');
    const bulk = await running.pipeline.queue('bulk');
    // However long the decoders take to start: from the first pack on.
    while ((await bulk.depth()).waiting === 0) await sleep(50);
    const depths: number[] = [];
    for (let i = 0; i < 40; i++) {
      const { waiting, leased } = await bulk.depth();
      const packs = (await running.pipeline.works.list({ prefix: 'packs/' })).objects.length;
      depths.push(Math.max(waiting + leased, packs));
      await sleep(50);
    }
    expect(Math.max(...depths)).toBeLessThanOrEqual(LIMIT);
    expect(Math.max(...depths)).toBeGreaterThan(0);
    await running.startWorkerHere();
    // By now shards wait for about as long as no worker ran, which on a busy machine is long.
    const { completion } = await running.reached('job', 'complete', 180_000);
    expect(completion).toMatchObject({ planned: IMAGES, audited: IMAGES, failed: 0 });
    expect((await verifyJob('job', running.pipeline.works)).problems).toEqual([]);
    // To be handed back is no failure: nothing is among the dead letters.
    expect((await running.pipeline.works.list({ prefix: 'dead/' })).objects).toEqual([]);
  });
});
