import { describe, expect, it } from 'vitest';
import { EventQueue } from '#core/simulation/event-queue.ts';
import { Level } from '#core/simulation/level.ts';
import { DEFAULT_MEASUREMENTS, decodeCost, measurementsFrom } from '#core/simulation/measurements.ts';
import { Random } from '#core/simulation/random.ts';
import { Scaling, ScalingRule } from '#core/simulation/scaling.ts';
import { ShardQueue } from '#core/simulation/shard-queue.ts';
import { WorkQueue } from '#core/simulation/work-queue.ts';

describe('an event queue', () => {
  it('lets events happen by time, and those of the same time in the order they were set', () => {
    const random = new Random(7);
    const events = new EventQueue();
    const happened: number[] = [];
    const expected = Array.from({ length: 2000 }, (_, i) => ({ at: Math.floor(random.uniform() * 50), i }));
    for (const { at, i } of expected) events.in(at, () => happened.push(i));
    while (events.next());
    expected.sort((a, b) => a.at - b.at || a.i - b.i);
    expect(happened).toEqual(expected.map(({ i }) => i));
  });

  it('goes on with what events set, and refuses the past', () => {
    const events = new EventQueue();
    const times: number[] = [];
    const again = (): void => {
      times.push(events.nowS);
      if (times.length < 4) events.in(2.5, again);
    };
    events.in(1, again);
    while (events.next());
    expect(times).toEqual([1, 3.5, 6, 8.5]);
    expect(() => events.in(-1, again)).toThrow(/0 s or more/);
  });
});

describe('random numbers', () => {
  it('are the same for the same seed', () => {
    const draw = (seed: number): number[] => {
      const random = new Random(seed);
      return [random.uniform(), random.exponential(2), random.factor(0.3)];
    };
    expect(draw(5)).toEqual(draw(5));
    expect(draw(5)).not.toEqual(draw(6));
  });

  it('have the mean and deviation that were asked for', () => {
    const random = new Random(1);
    const factors = Array.from({ length: 100_000 }, () => random.factor(0.4));
    const mean = factors.reduce((sum, x) => sum + x, 0) / factors.length;
    const deviation = Math.sqrt(factors.reduce((sum, x) => sum + (x - mean) ** 2, 0) / factors.length);
    expect(mean).toBeCloseTo(1, 2);
    expect(deviation).toBeCloseTo(0.4, 1);
    const waits = Array.from({ length: 100_000 }, () => random.exponential(0.5));
    expect(waits.reduce((sum, x) => sum + x, 0) / waits.length).toBeCloseTo(2, 1);
    expect(random.exponential(0)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('a level', () => {
  it('knows its integral and its peak', () => {
    const level = new Level();
    level.add(2, 10);
    level.add(3, 14);
    level.add(-4, 16);
    expect([level.value, level.peak, level.area(20)]).toEqual([1, 5, 2 * 4 + 5 * 2 + 1 * 4]);
  });
});

describe('the queues', () => {
  it('hand out no more than may be in flight', () => {
    const queue = new WorkQueue(new EventQueue(), 64, 10);
    queue.send(64 * 25);
    expect(queue.receive(64 * 8)).toBe(64 * 8);
    expect(queue.receive(64 * 8)).toBe(64 * 2);
    expect(queue.receive(64)).toBe(0);
    queue.acknowledge(64);
    queue.giveBack(64);
    expect(queue.receive(640)).toBe(128);
    expect([queue.backlogPacks, queue.peakInFlightPacks]).toEqual([24, 10]);
  });

  it('count shards by their size, the last one of a job with what is left', () => {
    const queue = new ShardQueue();
    queue.sendJob(1300, 512);
    expect(queue.count).toBe(3);
    expect(queue.receive(5)).toEqual({ images: 512, count: 2 });
    queue.send(512, 1);
    expect(queue.receive(1)).toEqual({ images: 276, count: 1 });
    expect(queue.receive(1)).toEqual({ images: 512, count: 1 });
    expect(queue.receive(1)).toBeUndefined();
  });
});

describe('the scaling rule', () => {
  const rule = ScalingRule.parse({ maxWorkers: 20, targetPacks: 100, releaseAfter: 3 });

  it('starts from zero with one worker, and grows by the highest step that counts', () => {
    const scaling = new Scaling(rule);
    expect(scaling.decide(0, 0, false)).toBe(0);
    expect(scaling.decide(5000, 0, true)).toBe(1);
    expect(scaling.decide(5000, 1, true)).toBe(2);
    expect(scaling.decide(5000, 8, true)).toBe(16);
    expect(scaling.decide(2000, 10, true)).toBe(15);
    expect(scaling.decide(1000, 10, true)).toBe(13);
    expect(scaling.decide(999, 10, true)).toBe(10);
    expect(scaling.decide(9000, 16, true)).toBe(20);
  });

  it('lets workers go slowly, and only after it has been quiet for a while', () => {
    const scaling = new Scaling(rule);
    const next = (backlog: number, workers: number): number => scaling.decide(backlog, workers, true);
    expect([next(50, 20), next(50, 20), next(50, 20), next(50, 18)]).toEqual([20, 20, 18, 18]);
    expect(next(2000, 18)).toBe(20);
    expect([next(50, 20), next(50, 20), next(50, 20)]).toEqual([20, 20, 18]);
  });

  it('reaches zero once nothing is left, and not before', () => {
    const scaling = new Scaling(rule);
    let workers = 7;
    for (let i = 0; i < 100; i++) workers = scaling.decide(1, workers, false);
    expect(workers).toBe(1);
    for (let i = 0; i < 100; i++) workers = scaling.decide(0, workers, true);
    expect(workers).toBe(1);
    for (let i = 0; i < rule.releaseAfter; i++) workers = scaling.decide(0, workers, false);
    expect(workers).toBe(0);
  });
});

describe('measurements', () => {
  it('are interpolated between sizes and go on beyond them', () => {
    const at = (megapixels: number): number => decodeCost(DEFAULT_MEASUREMENTS, megapixels).coreMs;
    expect(at(1)).toBeCloseTo(8.9);
    expect(at(6.5)).toBeCloseTo((8.9 + 37.7) / 2);
    expect(at(23)).toBeCloseTo(37.7 + (37.7 - 8.9));
    expect(at(0.01)).toBeGreaterThan(0);
  });

  it('are replaced by those given, one by one', () => {
    const own = measurementsFrom({
      bootS: { value: 60, basis: 'measured', on: '2026-11-01', note: '' },
      decode: [{ megapixels: 2, coreMs: 20, bytes: 5e5 }],
    });
    expect(own.bootS.value).toBe(60);
    expect(own.engineLoadS).toBe(DEFAULT_MEASUREMENTS.engineLoadS);
    expect(decodeCost(own, 9)).toMatchObject({ coreMs: 20 });
  });
});
