import { describe, expect, it } from 'vitest';
import { fleetFor } from '#core/simulation/fleet-for.ts';
import { limitsOf } from '#core/simulation/limits.ts';
import { DEFAULT_MEASUREMENTS } from '#core/simulation/measurements.ts';

describe('the fleet for a deadline', () => {
  it('is hardly larger than it must be', () => {
    const base = { images: 20_000_000, sourcePartitions: 4 };
    const { outcome, isInTime } = fleetFor(base, { deadlineS: 2 * 3600 }, DEFAULT_MEASUREMENTS);
    expect(isInTime).toBe(true);
    expect(outcome.seconds).toBeGreaterThan(0.8 * 2 * 3600);
  });

  it('is what was wished for, and grows no further where that is too small', () => {
    const { outcome, isInTime } = fleetFor(
      { images: 5_000_000 },
      { deadlineS: 1800, concurrency: 10, maxWorkers: 2 },
      DEFAULT_MEASUREMENTS,
    );
    expect(isInTime).toBe(false);
    expect([outcome.peakInvocations, outcome.scenario.scaling.maxWorkers]).toEqual([10, 2]);
  });

  it('does not grow where S3 is what is slow', () => {
    const { outcome, isInTime, tries } = fleetFor(
      { images: 50_000_000 },
      { deadlineS: 3600 },
      DEFAULT_MEASUREMENTS,
    );
    expect([isInTime, tries]).toEqual([false, 1]);
    // 5,500 reads a second at 77 images a second each, and a tenth more.
    expect(outcome.scenario.functions.concurrency).toBeLessThan(85);
    const binding = limitsOf(outcome, DEFAULT_MEASUREMENTS).filter(({ binds }) => binds);
    expect(binding.map(({ name }) => name)).toContain('S3: reads of the source');
  });

  it('does not grow where completing jobs is what is slow; more pipelines help', () => {
    const base = { images: 100_000_000, sourcePartitions: 8 };
    const one = fleetFor(base, { deadlineS: 4 * 3600 }, DEFAULT_MEASUREMENTS);
    expect([one.isInTime, one.tries]).toEqual([false, 1]);
    const binding = limitsOf(one.outcome, DEFAULT_MEASUREMENTS).filter(({ binds }) => binds);
    expect(binding.map(({ name }) => name)).toContain('finalize: share of the time, one job after the other');
    const three = fleetFor({ ...base, pipelines: 3 }, { deadlineS: 4 * 3600 }, DEFAULT_MEASUREMENTS);
    expect(three.isInTime).toBe(true);
  });
});
