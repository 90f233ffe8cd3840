import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  countUsage,
  inCallersTally,
  invocation,
  meterStart,
  overhead,
  spentIdle,
  Tally,
  tallied,
} from '#adapters/meter.ts';
import { noUsage, type UsageRecord, UsageSum } from '#core/usage.ts';
import { forgetEarlierUsage } from '#test/support/earlier-usage.ts';

const images = (count: number) => ({ counts: { images: count } });

/** What the next record of this process tells. */
function told(): UsageRecord[] {
  const tally = new Tally('finalize');
  const records = tally.seal({ all: true });
  tally.stored();
  return records;
}

function countsOf(records: readonly UsageRecord[], waste: boolean): number {
  return records
    .filter((record) => record.waste === waste)
    .reduce((sum, { usage }) => sum + (usage.counts['images'] ?? 0), 0);
}

beforeEach(forgetEarlierUsage);

describe('a tally', () => {
  it('takes what is counted in all that its work awaits, and nothing else', async () => {
    const [a, b] = [new Tally('plan'), new Tally('worker')];
    countUsage(images(100));
    await Promise.all([
      a.run(async () => {
        await sleep(2);
        countUsage(images(1));
      }),
      b.run(async () => {
        await sleep(1);
        countUsage(images(2));
      }),
    ]);
    expect(a.take().counts).toEqual({ images: 1 });
    expect(b.take().counts).toEqual({ images: 2 });
  });

  it('is kept by a task, whoever makes room for it', async () => {
    const [a, b] = [new Tally('plan'), new Tally('worker')];
    const task = a.run(() => inCallersTally(() => countUsage(images(1))));
    b.run(task);
    expect(a.take().counts).toEqual({ images: 1 });
    expect(b.take().counts).toEqual({});
  });

  it('that is stored owes what comes afterwards, to the next record', () => {
    const tally = new Tally('worker');
    tally.add(images(3));
    expect(countsOf(tally.seal(), false)).toBe(3);
    tally.stored();
    tally.add(images(1));
    tally.add(images(1));
    const next = told();
    expect(countsOf(next, false)).toBe(2);
    expect(next).toHaveLength(1);
    expect(told()).toEqual([]);
  });

  it('that is wasted owes all of it as waste, but what it took along as it was', () => {
    const before = new Tally('worker');
    before.stored();
    before.add(images(5));
    const tally = new Tally('worker');
    tally.add(images(3));
    const sealed = tally.seal();
    expect(countsOf(sealed, false)).toBe(8);
    tally.wasted();
    const next = told();
    expect([countsOf(next, true), countsOf(next, false)]).toEqual([3, 5]);
    // Whether the first store has succeeded after all, nobody knows: either way each record counts once.
    const sum = new UsageSum('job');
    sum.add(next);
    sum.add(sealed);
    expect(sum.finish().stages).toMatchObject([{ waste: false, usage: { counts: { images: 8 } } }]);
  });

  it('that nobody ended is waste', async () => {
    await tallied('plan', async () => countUsage(images(2)));
    await expect(
      tallied('plan', async (tally) => {
        countUsage(images(3));
        tally.seal();
        throw new Error('not stored');
      }),
    ).rejects.toThrow('not stored');
    expect(countsOf(told(), true)).toBe(5);
  });

  it('takes some of what is owed along, never so much that its message grows too large', () => {
    for (let i = 0; i < 30; i++) {
      const tally = new Tally('worker');
      tally.add(images(1));
      tally.seal();
      tally.wasted();
    }
    const tally = new Tally('worker');
    expect(tally.seal().length).toBeLessThan(12);
    tally.wasted();
    expect(countsOf(told(), true)).toBe(30);
  });
});

describe('an invocation', () => {
  it('shares its time among what it does at a time, and keeps the rest for itself', async () => {
    let nowMs = 0;
    const msOf = (records: readonly UsageRecord[]) => records.map(({ usage }) => usage.ms['function'] ?? 0);
    await invocation(
      'preprocess',
      async () => {
        nowMs += 20;
        const a = new Tally('preprocess');
        nowMs += 10;
        const b = new Tally('preprocess');
        nowMs += 40;
        // Its own 10 + 40/2, and the invocation's 20 so far.
        expect(msOf(a.seal())).toEqual([30, 20]);
        a.stored();
        nowMs += 5;
        expect(msOf(b.seal())).toEqual([25]);
        b.stored();
        nowMs += 7;
      },
      () => nowMs,
    );
    expect(msOf(told())).toEqual([7]);
  });

  it('tells what its process took to start, once', async () => {
    meterStart('plan', 250);
    expect(told()).toMatchObject([
      { stage: 'plan', usage: { ms: { init: 250 }, counts: { coldStarts: 1 } } },
    ]);
    expect(told()).toEqual([]);
  });

  it('is counted with its first record', async () => {
    const counted = await invocation(
      'plan',
      async () => new Tally('plan').seal(),
      () => 0,
    );
    expect(counted).toMatchObject([{ stage: 'plan', usage: { counts: { invocations: 1 } } }]);
  });
});

describe('what a record tells', () => {
  const STORED = { storedBy: 's3:PutObject' };
  const put = (units: number, retries = 0) => ({
    requests: { 's3:PutObject': { count: 1, retries, units } },
  });
  const requestsOf = (records: readonly UsageRecord[]) =>
    records.map(({ usage }) => usage.requests['s3:PutObject']).filter((request) => request !== undefined);

  it('includes the request that stores it, whose retries are owed', () => {
    const tally = new Tally('worker');
    expect(requestsOf(tally.seal(STORED))).toEqual([{ count: 1, retries: 0, units: 1 }]);
    tally.add(put(0));
    tally.add(put(1, 1));
    tally.stored();
    expect(requestsOf(told())).toEqual([{ count: 1, retries: 1, units: 0 }]);
  });

  it('does not include a request that was never sent', () => {
    const tally = new Tally('worker');
    tally.add(images(1));
    tally.seal(STORED);
    tally.wasted();
    const next = told();
    expect(requestsOf(next)).toEqual([]);
    expect(countsOf(next, true)).toBe(1);
  });

  it('names the job that it was for, once it is told by another one', () => {
    const tally = new Tally('worker', undefined, { job: 'monday' });
    tally.stored();
    tally.add(images(2));
    const sum = new UsageSum('tuesday');
    sum.add(told());
    expect(sum.finish().stages).toMatchObject([{ job: 'monday', usage: { counts: { images: 2 } } }]);
  });

  it('is told once, though the message that brought it is delivered twice', () => {
    const [carried] = [
      { id: 'of the message', stage: 'preprocess', waste: false, usage: noUsage() } as const,
    ];
    const [first, second] = [new Tally('worker'), new Tally('worker')];
    expect(first.seal({ carried: [carried] })).toEqual([carried]);
    first.stored();
    second.seal({ carried: [carried] });
    second.wasted();
    expect(told()).toEqual([]);
  });

  it('is not told yet by the message that carries it on', () => {
    const [carried] = [{ id: 'of the pack', stage: 'preprocess', waste: false, usage: noUsage() } as const];
    const [sender, receiver] = [new Tally('preprocess'), new Tally('worker')];
    sender.seal({ carried: [carried] });
    sender.stored();
    receiver.wasted([carried]);
    expect(told()).toMatchObject([{ id: 'of the pack', waste: true }]);
  });

  it('is for nobody, where the process waited for work', async () => {
    await overhead('worker', async () => {
      countUsage(images(1));
      spentIdle('worker', { ms: { message: 5 } });
      countUsage(images(2));
    });
    expect(told()).toMatchObject([
      { idle: true, usage: { counts: { images: 1 }, ms: { message: 5 } } },
      { usage: { counts: { images: 2 } } },
    ]);
  });
});
