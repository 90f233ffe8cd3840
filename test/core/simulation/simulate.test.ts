import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { DEFAULT_MEASUREMENTS, type Measurements } from '#core/simulation/measurements.ts';
import { Scenario } from '#core/simulation/scenario.ts';
import { invocationRate } from '#core/simulation/service-times.ts';
import { type Outcome, simulate } from '#core/simulation/simulate.ts';

/** The defaults, with some figures changed. */
function measured(figures: Partial<Record<keyof Measurements, number>>): Measurements {
  const changed = Object.entries(figures).map(([name, value]) => [
    name,
    { value, basis: 'assumed', on: '2026-11-21', note: '' },
  ]);
  return { ...DEFAULT_MEASUREMENTS, ...(Object.fromEntries(changed) as Partial<Measurements>) };
}

function outcomeOf(scenario: z.input<typeof Scenario>, measurements = DEFAULT_MEASUREMENTS): Outcome {
  return simulate(Scenario.parse(scenario), measurements);
}

/** So many workers from the beginning to the end, none of them taken away. */
function always(workers: number): Pick<z.input<typeof Scenario>, 'scaling' | 'spot'> {
  return {
    scaling: { minWorkers: workers, maxWorkers: workers },
    spot: { interruptionsPerHour: 0 },
  };
}

/** Listing and finalizing take no time to speak of. */
const QUICK_ENDS = { listedPerSecond: 1e9, finalizedPerSecond: 1e9 };

describe('a simulated fleet', () => {
  it('brings every image to an end exactly once, whatever its size and its troubles', () => {
    fc.assert(
      fc.property(
        fc.record({
          images: fc.integer({ min: 1, max: 100_000 }),
          packSize: fc.constantFrom(1, 16, 64, 100),
          shardSize: fc.constantFrom(100, 512, 1000),
          imagesPerJob: fc.constantFrom(7001, 50_000, 10_000_000),
          concurrency: fc.integer({ min: 1, max: 200 }),
          maxBacklogPacks: fc.integer({ min: 1, max: 3000 }),
          maxWorkers: fc.integer({ min: 1, max: 12 }),
          interruptionsPerHour: fc.constantFrom(0, 1, 20),
          unannounced: fc.constantFrom(0, 0.5, 1),
          seed: fc.integer({ min: 0, max: 1000 }),
        }),
        ({ concurrency, maxWorkers, interruptionsPerHour, unannounced, ...rest }) => {
          const { images, preprocessed, inferred, inferredS, seconds, samples } = {
            ...outcomeOf({
              ...rest,
              functions: { concurrency },
              scaling: { maxWorkers },
              spot: { interruptionsPerHour, unannounced },
            }),
            images: rest.images,
          };
          expect([preprocessed, inferred]).toEqual([images, images]);
          expect(inferredS).toBeGreaterThan(0);
          expect(seconds).toBeGreaterThanOrEqual(inferredS);
          expect(samples.at(-1)).toMatchObject({ backlogPacks: 0, shards: 0, invocations: 0 });
        },
      ),
      { numRuns: 60, seed: 1 },
    );
  });

  it('is the same for the same seed, and nearly the same for another', () => {
    const scenario = { images: 2_000_000, spot: { interruptionsPerHour: 2 } };
    const one = outcomeOf({ ...scenario, seed: 1 });
    expect(outcomeOf({ ...scenario, seed: 1 })).toEqual(one);
    const other = outcomeOf({ ...scenario, seed: 2 });
    expect(other.inferredS).not.toBe(one.inferredS);
    expect(other.inferredS / one.inferredS).toBeCloseTo(1, 0);
  });

  it('of one worker takes images / rate, and its start', () => {
    const measurements = measured({ ...QUICK_ENDS, bootS: 100, engineLoadS: 0 });
    const images = 1_000_000;
    const { inferredS, times, busyS } = outcomeOf(
      { images, sourcePartitions: 4, ...always(1) },
      measurements,
    );
    expect(busyS).toBeCloseTo(images * times.workerImageS, -1);
    // The start deviates by 15 % of 100 s, and the backlog is there before it.
    expect(inferredS).toBeGreaterThan(images * times.workerImageS + 60);
    expect(inferredS).toBeLessThan(images * times.workerImageS + 160);
  });

  it('goes at the rate of its slowest stage', () => {
    const measurements = measured({
      ...QUICK_ENDS,
      coldStartMs: 0,
      invocationMs: 0,
      bootS: 0,
      engineLoadS: 0,
    });
    const images = 4_000_000;
    for (const [concurrency, workers] of [
      [20, 4],
      [200, 2],
      [40, 1],
    ] as const) {
      const functions = { concurrency, firstInvocations: concurrency };
      const scenario = { images, sourcePartitions: 100, functions, ...always(workers) };
      const { inferredS, times } = outcomeOf(scenario, measurements);
      const rates = [
        concurrency * invocationRate(Scenario.parse(scenario), times),
        workers / times.workerImageS,
      ];
      expect(images / inferredS / Math.min(...rates)).toBeGreaterThan(0.96);
      expect(images / inferredS / Math.min(...rates)).toBeLessThan(1.01);
    }
  });

  it('reads no faster than S3 answers', () => {
    const functions = { concurrency: 500, firstInvocations: 500 };
    const { inferredS, throttledS } = outcomeOf({ images: 2_000_000, functions, ...always(10) });
    expect(2_000_000 / inferredS).toBeLessThan(5500);
    expect(throttledS).toBeGreaterThan(0);
  });

  it('looked at more finely or more coarsely comes to the same', () => {
    const scenario = {
      images: 20_000_000,
      sourcePartitions: 8,
      functions: { concurrency: 200 },
      maxBacklogPacks: 8000,
      scaling: { maxWorkers: 12 },
      spot: { interruptionsPerHour: 0.2 },
    };
    const outcomes = [
      { cohort: 1, packsPerStep: 1, lotS: 0.5 },
      { cohort: 2, packsPerStep: 4, lotS: 1 },
      { cohort: 8, packsPerStep: 8, lotS: 4 },
    ].map((granularity) => outcomeOf({ ...scenario, granularity }));
    const [fine] = outcomes as [Outcome, ...Outcome[]];
    for (const { inferredS, paidS, busyS, usage, inferred } of outcomes) {
      expect(inferred).toBe(20_000_000);
      expect(Math.abs(inferredS / fine.inferredS - 1)).toBeLessThan(0.03);
      expect(Math.abs(busyS / fine.busyS - 1)).toBeLessThan(0.01);
      expect(Math.abs(paidS / fine.paidS - 1)).toBeLessThan(0.1);
      expect(Math.abs(usage.lambdaGbSeconds / fine.usage.lambdaGbSeconds - 1)).toBeLessThan(0.03);
    }
    expect(fine.events / (outcomes[2] as Outcome).events).toBeGreaterThan(2);
  });

  it('repeats after an interruption only what was in hand', () => {
    const spot = { interruptionsPerHour: 6, unannounced: 1 };
    const scenario = { images: 10_000_000, sourcePartitions: 4, spot, scaling: { maxWorkers: 6 } };
    const { repeated, interruptions, inferred } = outcomeOf(scenario);
    expect(interruptions).toBeGreaterThan(5);
    expect(repeated).toBeGreaterThan(0);
    // Three batches of 256 in the model, four packs of 64 on their way.
    expect(repeated).toBeLessThanOrEqual(interruptions * (3 * 256 + 4 * 64));
    expect(inferred).toBe(10_000_000);
    const announced = outcomeOf({ ...scenario, spot: { ...spot, unannounced: 0 } });
    expect(announced.interruptions).toBeGreaterThan(5);
    expect(announced.repeated).toBe(0);
  });

  it('has no worker before there is work, and none in the end', () => {
    const { samples, fleetGoneS, seconds, peakWorkers } = outcomeOf({ images: 3_000_000 });
    expect(samples[0]).toMatchObject({ workers: 0 });
    expect(samples.at(-1)).toMatchObject({ workers: 0, ready: 0 });
    expect(peakWorkers).toBeGreaterThan(1);
    expect(fleetGoneS).toBeGreaterThanOrEqual(seconds);
  });

  it('keeps its backlog at the limit', () => {
    const { samples, handedBack } = outcomeOf({ images: 3_000_000, maxBacklogPacks: 500, ...always(1) });
    // Each of 100 invocations has looked before it made its pack.
    expect(Math.max(...samples.map(({ backlogPacks }) => backlogPacks))).toBeLessThanOrEqual(600);
    expect(handedBack).toBeGreaterThan(0);
  });

  it('begins with few invocations and adds them by the minute', () => {
    const { samples } = outcomeOf(
      {
        images: 20_000_000,
        functions: { concurrency: 1000 },
        sourcePartitions: 50,
        ...always(20),
        maxBacklogPacks: 100_000,
      },
      measured(QUICK_ENDS),
    );
    const at = (atS: number): number => samples.find((sample) => sample.atS >= atS)?.invocations ?? 0;
    expect(at(0.5)).toBeLessThanOrEqual(10);
    expect(at(60)).toBeGreaterThan(250);
    expect(at(60)).toBeLessThan(330);
  });

  it('hands shards back before the time of a function is up', () => {
    const slow = measured({ ...QUICK_ENDS, lambdaSlowness: 200 });
    const { timeouts, inferred, usage } = outcomeOf({ images: 50_000 }, slow);
    expect(timeouts).toBeGreaterThan(0);
    expect(inferred).toBe(50_000);
    expect(usage.lambdaInvocations).toBeGreaterThan(50_000 / 512);
  });

  it('refuses a fleet that will not be done', () => {
    expect(() => outcomeOf({ images: 1e9, functions: { concurrency: 1 }, maxDays: 1 })).toThrow(
      /images done after 1 days: allow more invocations/,
    );
  });

  it('gets a billion images done in seconds', () => {
    const { events, inferred } = outcomeOf({
      images: 1e9,
      sourcePartitions: 16,
      functions: { concurrency: 500 },
      maxBacklogPacks: 20_000,
      scaling: { maxWorkers: 30 },
    });
    expect(inferred).toBe(1e9);
    expect(events).toBeLessThan(8e6);
  });
});
