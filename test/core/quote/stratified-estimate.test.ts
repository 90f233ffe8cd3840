import { describe, expect, it } from 'vitest';
import { allocate, estimateTotal, spread, studentT975 } from '#core/quote/stratified-estimate.ts';

describe('estimateTotal', () => {
  it('comes to the total, standard error and limits that were reckoned by hand', () => {
    // Means 2 and 12; variances 1 and 8; g = 10·7/3 and 20·18/2.
    const found = estimateTotal([
      { images: 10, values: [1, 2, 3] },
      { images: 20, values: [10, 14] },
    ]);
    expect(found.estimate).toBeCloseTo(10 * 2 + 20 * 12, 9);
    const variance = (10 * 7) / 3 + ((20 * 18) / 2) * 8;
    expect(found.standardError).toBeCloseTo(Math.sqrt(variance), 9);
    const degrees = variance ** 2 / (((10 * 7) / 3) ** 2 / 2 + (((20 * 18) / 2) * 8) ** 2 / 1);
    expect(degrees).toBeCloseTo(1.0325, 4);
    expect(found.high).toBeCloseTo(260 + studentT975(degrees) * Math.sqrt(variance), 9);
  });

  it('knows a source that it has seen whole, and never says less than was seen', () => {
    const whole = estimateTotal([{ images: 3, values: [1, 5, 9] }]);
    expect(whole).toEqual({ estimate: 15, low: 15, high: 15, standardError: 0 });
    const wide = estimateTotal([{ images: 100, values: [0, 0, 300] }]);
    expect(wide.low).toBe(300);
  });

  it('covers the true total in about 95 of 100 samples', () => {
    let state = 1;
    const random = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
    const strata = [100, 300].map((images, h) =>
      Array.from({ length: images }, () => (h + 1) * (5 + 3 * (random() + random() + random()))),
    );
    const truth = strata.flat().reduce((sum, value) => sum + value, 0);
    let covered = 0;
    for (let turn = 0; turn < 400; turn++) {
      const { low, high } = estimateTotal(
        strata.map((values) => ({
          images: values.length,
          values: [...values]
            .map((value) => [random(), value] as const)
            .sort((a, b) => a[0] - b[0])
            .slice(0, 20)
            .map(([, value]) => value),
        })),
      );
      if (low <= truth && truth <= high) covered++;
    }
    expect(covered / 400).toBeGreaterThan(0.91);
    expect(covered / 400).toBeLessThan(0.99);
  });

  it('has no spread of a single value, nor of none', () => {
    expect(spread([7])).toEqual({ mean: 7, variance: 0 });
    expect(spread([])).toEqual({ mean: 0, variance: 0 });
  });
});

describe('studentT975', () => {
  it.each([
    [2, 4.303],
    [3, 3.182],
    [5, 2.571],
    [10, 2.228],
    [30, 2.042],
    [1e6, 1.96],
  ])('is near the table for %d degrees of freedom', (degrees, table) => {
    expect(Math.abs(studentT975(degrees) / table - 1)).toBeLessThan(0.01);
  });
});

describe('allocate', () => {
  it('gives more where images differ more, and each stratum its least', () => {
    const counts = allocate(
      [
        { images: 1000, drawn: 0, weight: 100 },
        { images: 1000, drawn: 0, weight: 300 },
        { images: 1000, drawn: 0, weight: 0 },
        { images: 2, drawn: 0, weight: 50 },
      ],
      85,
      3,
    );
    expect(counts).toEqual([20, 60, 3, 2]);
  });

  it('counts what was drawn before, and gives no more than there is', () => {
    const strata = [
      { images: 5, drawn: 3, weight: 1000 },
      { images: 100, drawn: 10, weight: 1 },
    ];
    expect(allocate(strata, 20, 3)).toEqual([2, 5]);
    expect(allocate(strata, 500, 3)).toEqual([2, 90]);
    expect(allocate(strata, 1, 3)).toEqual([0, 0]);
  });
});
