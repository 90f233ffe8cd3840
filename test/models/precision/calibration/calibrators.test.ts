import { describe, expect, it } from 'vitest';
import { type Calibrator, calibratorOf, thresholdOf } from '#models/precision/calibration/calibrators.ts';
import { BINS, MagnitudeCollector, type Magnitudes } from '#models/precision/calibration/magnitudes.ts';
import { quantizationOf } from '#models/precision/calibration/quantization.ts';

/** A histogram of bins of width 1 with these counts, zeros elsewhere. */
function histogram(counts: Readonly<Record<number, number>>): Magnitudes {
  const all = new Float64Array(BINS);
  for (const [bin, count] of Object.entries(counts)) all[Number(bin)] = count;
  return { min: 0, max: BINS, binWidth: 1, counts: all };
}

const ENTROPY: Calibrator = { kind: 'entropy' };

describe('a histogram of magnitudes', () => {
  it('counts values of both signs by their magnitude', () => {
    const seen = new MagnitudeCollector();
    // Bins of width 1: the largest magnitude sets the range.
    seen.add(Float32Array.of(-BINS, 0, 0.5, -1.5, 1.25));
    expect(seen).toMatchObject({ min: -BINS, max: 1.25, binWidth: 1 });
    expect([...seen.counts.subarray(0, 3)]).toEqual([2, 2, 0]);
    expect(seen.counts[BINS - 1]).toBe(1);
  });

  it('doubles its range when a later image goes beyond it, and loses no count', () => {
    const seen = new MagnitudeCollector();
    seen.add(Float32Array.of(BINS, 0.5, 1.5, 2.5));
    seen.add(Float32Array.of(3 * BINS));
    expect(seen.binWidth).toBe(4);
    expect(seen.counts[0]).toBe(3);
    expect(seen.counts[BINS / 4 - 1]).toBe(1);
    expect(seen.counts[(3 * BINS) / 4]).toBe(1);
    expect(seen.counts.reduce((a, b) => a + b)).toBe(5);
  });

  it('leaves out what is no finite number', () => {
    const seen = new MagnitudeCollector();
    seen.add(Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, -1, Number.NEGATIVE_INFINITY));
    expect(seen).toMatchObject({ min: -1, max: -1 });
    expect(seen.counts.reduce((a, b) => a + b)).toBe(1);
  });
});

describe('a calibrator', () => {
  it('"max" takes the largest magnitude, of either sign', () => {
    expect(thresholdOf({ ...histogram({ 1: 1 }), min: -7, max: 3 }, { kind: 'max' })).toBe(7);
  });

  it('"percentile" takes the end of the bin in which the share is reached', () => {
    const seen = histogram({ 0: 90, 9: 9, 1999: 1 });
    expect(thresholdOf(seen, { kind: 'percentile', percentile: 90 })).toBe(1);
    expect(thresholdOf(seen, { kind: 'percentile', percentile: 99 })).toBe(10);
    expect(thresholdOf(seen, { kind: 'percentile', percentile: 99.5 })).toBe(2000);
  });

  it('"entropy" keeps the whole range where 128 levels can tell all of it', () => {
    const even = Object.fromEntries(Array.from({ length: 128 }, (_, i) => [i, 10]));
    expect(thresholdOf(histogram(even), ENTROPY)).toBe(128);
  });

  it('"entropy" cuts off a lone outlier far from all else', () => {
    // 128 bins that differ from each other and one value at 2000: merging sixteen bins into a level would cost more
    // than that one value is worth.
    const counts = Object.fromEntries(Array.from({ length: 128 }, (_, i) => [i, 1000 + 900 * (i % 2)]));
    const threshold = thresholdOf(histogram({ ...counts, 2000: 1 }), ENTROPY);
    expect(threshold).toBe(128);
  });

  it('"entropy" keeps the tail where it is a large part of all', () => {
    const counts = Object.fromEntries(Array.from({ length: BINS }, (_, i) => [i, 100]));
    expect(thresholdOf(histogram(counts), ENTROPY)).toBe(BINS);
  });

  it('gives 0 for a tensor of zeros', () => {
    const seen = new MagnitudeCollector();
    seen.add(new Float32Array(5));
    for (const kind of ['entropy', 'percentile', 'max'])
      expect(thresholdOf(seen, calibratorOf(kind, undefined))).toBe(0);
  });

  it('is refused by a name that there is none of, and with a percentile that is none', () => {
    expect(() => calibratorOf('mse', undefined)).toThrow(
      'there is no calibrator "mse": expected one of entropy, percentile, max',
    );
    expect(() => calibratorOf('percentile', 101)).toThrow(/50 to 100, such as 99.99; got 101/);
    expect(() => calibratorOf('max', 99)).toThrow(/--percentile belongs to --calibrator percentile/);
  });
});

describe('the integers of a tensor', () => {
  it('on a GPU are symmetric around zero', () => {
    const { scale, ...rest } = quantizationOf({ min: -1, max: 6 }, 6.35, 'gpu');
    expect(scale).toBeCloseTo(0.05, 6);
    expect(rest).toEqual({ zeroPoint: 0, dtype: 'int8' });
  });

  it('on a CPU span what occurs, up to the threshold, and zero', () => {
    expect(quantizationOf({ min: 0, max: 6 }, 5.1, 'cpu')).toEqual({
      scale: Math.fround(0.02),
      zeroPoint: 0,
      dtype: 'uint8',
    });
    // From −1 to 4: 51 steps below zero.
    expect(quantizationOf({ min: -1, max: 4 }, 4, 'cpu')).toMatchObject({ zeroPoint: 51 });
    expect(quantizationOf({ min: 2, max: 4 }, 4, 'cpu')).toMatchObject({ zeroPoint: 0 });
  });

  it('have a scale also where there were only zeros', () => {
    expect(quantizationOf({ min: 0, max: 0 }, 0, 'gpu').scale).toBeGreaterThan(0);
    expect(quantizationOf({ min: 0, max: 0 }, 0, 'cpu').scale).toBeGreaterThan(0);
  });
});
