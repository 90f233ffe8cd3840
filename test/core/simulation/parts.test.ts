import { describe, expect, it } from 'vitest';
import { ScalingRule } from '#core/fleet-scaling.ts';
import { EventQueue } from '#core/simulation/event-queue.ts';
import { Level } from '#core/simulation/level.ts';
import { DEFAULT_MEASUREMENTS, decodeCost, measurementsFrom } from '#core/simulation/measurements.ts';
import { Random } from '#core/simulation/random.ts';
import { Scaling } from '#core/simulation/scaling.ts';
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
  const rule = ScalingRule.parse({ maxWorkers: 20, growAtPacks: 100 });

  /** What the rule comes to for each backlog in turn, of workers that are there at once. */
  function decisions(scaling: Scaling, packs: readonly number[], first: number, openWork = 1): number[] {
    let wanted = first;
    return packs.map((each) => {
      const look = { packs: each, openWork: each + openWork, wanted, workers: wanted };
      wanted = scaling.decide(look, { wanted, warm: wanted });
      return wanted;
    });
  }

  it('starts from zero with one worker, at once where functions find work', () => {
    const scaling = new Scaling(rule);
    expect(decisions(scaling, [0], 0, 0)).toEqual([0]);
    expect(decisions(scaling, [5000], 0)).toEqual([1]);
    expect(scaling.woken(0)).toBe(1);
    expect(scaling.woken(7)).toBe(7);
  });

  it('grows after two minutes, by the highest step that counts, and each minute for as long as it is so', () => {
    expect(decisions(new Scaling(rule), [1000, 1000], 10)).toEqual([10, 15]);
    expect(decisions(new Scaling(rule), [1999, 1999], 10)).toEqual([10, 15]);
    expect(decisions(new Scaling(rule), [2000, 2000, 9000], 10)).toEqual([10, 20, 20]);
    expect(decisions(new Scaling(rule), [999, 1000, 999], 10)).toEqual([10, 10, 10]);
    expect(decisions(new Scaling(rule), [5000, 5000, 5000, 5000], 1)).toEqual([1, 2, 4, 8]);
  });

  it('counts workers that are still starting as part of what it has added', () => {
    const scaling = new Scaling(rule);
    const look = { packs: 8000, openWork: 8000, wanted: 8, workers: 8 };
    scaling.decide(look, { wanted: 8, warm: 8 });
    expect(scaling.decide(look, { wanted: 8, warm: 8 })).toBe(16);
    expect(scaling.decide({ ...look, wanted: 16 }, { wanted: 16, warm: 8 })).toBe(16);
    expect(new Scaling(rule).decide(look, { wanted: 1, warm: 0 })).toBe(1);
  });

  it('lets a quarter go after ten quiet minutes, rounded down, and keeps the last worker while there is work', () => {
    const quiet = Array.from({ length: 9 }, () => 10);
    expect(decisions(new Scaling(rule), [...quiet, 10], 11).at(-1)).toBe(9);
    expect(decisions(new Scaling(rule), [...quiet, 200, ...quiet], 11).at(-1)).toBe(11);
    expect(decisions(new Scaling(rule), [...quiet, ...quiet, ...quiet, ...quiet], 11).at(-1)).toBe(1);
  });

  it('reaches zero after eight minutes without work, and not before', () => {
    const nothing = Array.from({ length: 8 }, () => 0);
    expect(decisions(new Scaling(rule), nothing.slice(1), 7, 0).at(-1)).toBe(7);
    expect(decisions(new Scaling(rule), nothing, 7, 0).at(-1)).toBe(0);
    expect(decisions(new Scaling(rule), [...nothing, ...nothing], 1).at(-1)).toBe(1);
    const always = ScalingRule.parse({ minWorkers: 2 });
    expect(decisions(new Scaling(always), nothing, 4, 0).at(-1)).toBe(2);
  });

  it('refuses steps out of order, and more workers at least than at most', () => {
    const steps = [
      { from: 1, percent: 100 },
      { from: 1, percent: 50 },
    ];
    expect(ScalingRule.safeParse({ steps }).success).toBe(false);
    expect(ScalingRule.safeParse({ steps: [{ from: 2, percent: 50 }] }).success).toBe(false);
    expect(ScalingRule.safeParse({ minWorkers: 5, maxWorkers: 2 }).success).toBe(false);
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
