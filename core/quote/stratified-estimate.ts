/** What is known of a stratum: how many images it has, and a value of some of them, drawn at random. */
export interface SampledStratum {
  readonly images: number;
  readonly values: readonly number[];
}

/** A total over a whole source, with its 95 % confidence limits. */
export interface Estimate {
  readonly estimate: number;
  readonly low: number;
  readonly high: number;
  readonly standardError: number;
}

/**
 * The total of a value over all strata, from a stratified random sample.
 *
 * Source: Cochran, Sampling Techniques (3rd ed., 1977), chapter 5. The estimate is Σ Nₕ·ȳₕ (theorem 5.1), its variance
 * Σ Nₕ·(Nₕ − nₕ)·sₕ²/nₕ (theorem 5.3 with s for S), the limits are at t·√variance, with Satterthwaite's effective degrees
 * of freedom (5.16). A stratum that was looked at whole adds no error.
 */
export function estimateTotal(strata: readonly SampledStratum[]): Estimate {
  let estimate = 0;
  let seen = 0;
  let variance = 0;
  let squares = 0;
  for (const { images, values } of strata) {
    const n = values.length;
    if (n === 0) continue;
    const { mean, variance: s2 } = spread(values);
    estimate += images * mean;
    seen += n * mean;
    const g = (images * (images - n)) / n;
    variance += g * s2;
    if (n > 1) squares += (g * s2) ** 2 / (n - 1);
  }
  const standardError = Math.sqrt(variance);
  const margin = variance > 0 ? studentT975(variance ** 2 / squares) * standardError : 0;
  // No value is negative: the total is at least what was seen.
  const low = Math.min(estimate, Math.max(seen, estimate - margin));
  return { estimate, low, high: estimate + margin, standardError };
}

/** Mean, and the variance with divisor n − 1; the variance of a single value is 0. */
export function spread(values: readonly number[]): { mean: number; variance: number } {
  const n = values.length;
  if (n === 0) return { mean: 0, variance: 0 };
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const variance = n < 2 ? 0 : values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  return { mean, variance };
}

const Z = 1.959963985;

/**
 * The 97.5 % point of Student's t, within 1 % from 2 degrees of freedom on.
 *
 * Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5.
 */
export function studentT975(degreesOfFreedom: number): number {
  const v = Math.max(1, degreesOfFreedom);
  const g1 = (Z ** 3 + Z) / 4;
  const g2 = (5 * Z ** 5 + 16 * Z ** 3 + 3 * Z) / 96;
  const g3 = (3 * Z ** 7 + 19 * Z ** 5 + 17 * Z ** 3 - 15 * Z) / 384;
  const g4 = (79 * Z ** 9 + 776 * Z ** 7 + 1482 * Z ** 5 - 1920 * Z ** 3 - 945 * Z) / 92_160;
  return Z + g1 / v + g2 / v ** 2 + g3 / v ** 3 + g4 / v ** 4;
}

/** A stratum to which images of the sample are to be given. */
export interface Allocatable {
  readonly images: number;
  /** Images that were drawn already. */
  readonly drawn: number;
  /** Nₕ·Sₕ, or what is thought to be in proportion to it. */
  readonly weight: number;
}

/**
 * How many images to draw from each stratum such that `total` are drawn with those before, and the variance is least
 * (Neyman's allocation, nₕ ∝ Nₕ·Sₕ: Cochran, 5.5). Each stratum gets `least` images, or all that it has.
 *
 * Whole numbers: the next image goes where Nₕ·Sₕ/√(n·(n+1)) is largest (Wright, The Equivalence of Neyman Optimum
 * Allocation for Sampling and Equal Proportions for Apportioning the U.S. House of Representatives, 2012).
 */
export function allocate(strata: readonly Allocatable[], total: number, least: number): number[] {
  const counts = strata.map(({ images, drawn }) => Math.max(drawn, Math.min(images, least)));
  let given = counts.reduce((sum, count) => sum + count, 0);
  while (given < total) {
    let best = -1;
    let bestPriority = -1;
    for (const [i, { images, weight }] of strata.entries()) {
      const n = counts[i] as number;
      const priority = weight / Math.sqrt(n * (n + 1));
      if (n < images && priority > bestPriority) {
        best = i;
        bestPriority = priority;
      }
    }
    if (best < 0) break;
    counts[best] = (counts[best] as number) + 1;
    given++;
  }
  return counts.map((count, i) => count - (strata[i] as Allocatable).drawn);
}
