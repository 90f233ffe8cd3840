import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { DisturbedBackfill, IMAGES, SMALL_PACKS } from '#test/support/disturbed-backfill.ts';
import type { RunningPipeline } from '#test/support/running-pipeline.ts';

const TAG_ALL = { on: ['pass', 'review', 'reject'], lanes: ['bulk'], tag: true } as const;
const MAX_LOOKS = 300;

let backfill: DisturbedBackfill;
beforeAll(async () => {
  backfill = await DisturbedBackfill.prepare();
});

/**
 * Each verdict has been acted on once no message is left. A job is complete when its parts are there: that of a worker which died
 * between part and acknowledgement comes again after its visibility time-out, maybe later than that.
 */
async function expectAllActedOn(running: RunningPipeline): Promise<void> {
  const bulk = await running.pipeline.queue('bulk');
  for (let looks = 0; looks < MAX_LOOKS; looks++) {
    const { waiting, leased } = await bulk.depth();
    if (waiting + leased === 0) break;
    await sleep(100);
  }
  expect([...running.aws.tags.keys()].sort()).toEqual(
    backfill.audited.map((key) => `${running.images}/${key}`),
  );
}

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
  ])('outlives a worker that is killed at %s, and each verdict is acted on', async (point) => {
    await using running = await backfill.start({ config: { ...SMALL_PACKS, actions: [TAG_ALL] } });
    running.startFunctions();
    await running.submit('job');
    const dying = running.startWorker({ DIE_AT: point }, 'test/support/dying-worker.ts');
    const [, signal] = await once(dying, 'exit');
    expect(signal).toBe('SIGKILL');
    await running.startWorkerHere();
    await backfill.expectWhole(running);
    await expectAllActedOn(running);
  });

  it('loses no action when answers to puts are lost', async () => {
    const lost = new Set<string>();
    await using running = await backfill.start({
      config: { ...SMALL_PACKS, actions: [TAG_ALL] },
      aws: {
        fault: ({ method, url }) => {
          if (method !== 'PUT' || !url.includes('/parts/') || lost.has(url)) return undefined;
          lost.add(url);
          return 'answer-lost';
        },
      },
    });
    running.startFunctions();
    await running.startWorkerHere();
    await running.submit('job');
    await backfill.expectWhole(running);
    expect(lost.size).toBe(IMAGES / SMALL_PACKS.packSize);
    await expectAllActedOn(running);
  });

  it('outlives a preprocess function that is killed in mid-shard', async () => {
    let putPacks = 0;
    await using running = await backfill.start({
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
    await backfill.expectWhole(running);
  });

  it('does not mind clocks that differ by an hour', async () => {
    await using running = await backfill.start();
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
    await backfill.expectWhole(running);
  });
});
