import { describe, expect, it } from 'vitest';
import { fleetFor } from '#core/simulation/fleet-for.ts';
import { limitsOf } from '#core/simulation/limits.ts';
import { DEFAULT_MEASUREMENTS, measurementsFrom } from '#core/simulation/measurements.ts';

import type { Outcome } from '#core/simulation/simulate.ts';

/** What is dear: workers, and a little of the functions. */
function workerSeconds({ paidS, usage }: Outcome): number {
  return paidS + usage.lambdaSeconds / 100;
}

describe('the fleet for a deadline', () => {
  it('is hardly larger than it must be', () => {
    const base = { images: 20_000_000, sourcePartitions: 4 };
    const { outcome, isInTime } = fleetFor(
      base,
      { deadlineS: 2 * 3600 },
      DEFAULT_MEASUREMENTS,
      workerSeconds,
    );
    expect(isInTime).toBe(true);
    expect(outcome.seconds).toBeGreaterThan(0.8 * 2 * 3600);
  });

  it('is what was wished for, and grows no further where that is too small', () => {
    const { outcome, isInTime } = fleetFor(
      { images: 5_000_000 },
      { deadlineS: 1800, concurrency: 10, maxWorkers: 2 },
      DEFAULT_MEASUREMENTS,
      workerSeconds,
    );
    expect(isInTime).toBe(false);
    expect([outcome.peakInvocations, outcome.scenario.scaling.maxWorkers]).toEqual([10, 2]);
  });

  it('does not grow where S3 is what is slow', () => {
    const { outcome, isInTime, tries } = fleetFor(
      { images: 50_000_000 },
      { deadlineS: 3600 },
      DEFAULT_MEASUREMENTS,
      workerSeconds,
    );
    expect([isInTime, tries]).toEqual([false, 1]);
    // 5,500 reads a second at 77 images a second each, and a tenth more.
    expect(outcome.scenario.functions.concurrency).toBeLessThan(85);
    const binding = limitsOf(outcome, DEFAULT_MEASUREMENTS).filter(({ binds }) => binds);
    expect(binding.map(({ name }) => name)).toContain('S3: reads of the source');
  });

  it('does not grow where completing jobs is what is slow; more pipelines help', () => {
    const base = { images: 100_000_000, sourcePartitions: 8 };
    const one = fleetFor(base, { deadlineS: 4 * 3600 }, DEFAULT_MEASUREMENTS, workerSeconds);
    expect([one.isInTime, one.isHopeless]).toEqual([false, true]);
    const binding = limitsOf(one.outcome, DEFAULT_MEASUREMENTS).filter(({ binds }) => binds);
    expect(binding.map(({ name }) => name)).toContain('finalize: share of the time, one job after the other');
    const three = fleetFor(
      { ...base, pipelines: 3 },
      { deadlineS: 4 * 3600 },
      DEFAULT_MEASUREMENTS,
      workerSeconds,
    );
    expect(three.isInTime).toBe(true);
  });

  it('is deployed as it is by default, unless other settings cost less', () => {
    const base = { images: 4_000_000 };
    const usual = fleetFor(base, { deadlineS: 2 * 3600 }, DEFAULT_MEASUREMENTS, workerSeconds);
    expect(usual.settings).toMatchObject({ growAtPacks: 200, maxBacklogPacks: 2000 });
    // A slow model: 200 packs are two minutes of a worker's time, and a fleet that grows by them grows too late or not at all.
    const slow = measurementsFrom({ workerImageMs: figure(10) });
    const found = fleetFor(base, { deadlineS: 2 * 3600 }, slow, workerSeconds);
    expect(found.isInTime).toBe(true);
    const given = { ...found.settings, growAtPacks: 200, maxBacklogPacks: undefined };
    const deployed = fleetFor(base, { deadlineS: 2 * 3600, ...given }, slow, workerSeconds);
    expect(workerSeconds(found.outcome)).toBeLessThanOrEqual(workerSeconds(deployed.outcome));
  });

  it('is said to be impossible where even S3 or completing the jobs takes longer', () => {
    const hopeless = (deadlineS: number, images = 50_000_000): boolean =>
      fleetFor({ images }, { deadlineS }, DEFAULT_MEASUREMENTS, workerSeconds).isHopeless;
    expect(hopeless(3600)).toBe(true);
    expect(hopeless(1, 1000)).toBe(true);
    expect(hopeless(3600, 1_000_000)).toBe(false);
  });

  it('of several pipelines is that of each, which has its share of the images and of S3', () => {
    const base = { images: 8_000_000, sourcePartitions: 2 };
    const half = fleetFor({ images: 4_000_000 }, { deadlineS: 7200 }, DEFAULT_MEASUREMENTS, workerSeconds);
    const two = fleetFor({ ...base, pipelines: 2 }, { deadlineS: 7200 }, DEFAULT_MEASUREMENTS, workerSeconds);
    expect(two.settings).toEqual(half.settings);
    expect(two.outcome.seconds).toBe(half.outcome.seconds);
  });
});

function figure(value: number) {
  return { value, basis: 'assumed' as const, note: '' };
}
