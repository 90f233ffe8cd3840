import { SluiceError } from '#core/error.ts';
import { BINS, type Magnitudes } from './magnitudes.ts';

export const CALIBRATORS = ['entropy', 'percentile', 'max'] as const;

/** How the largest magnitude that integers stand for is chosen; what is beyond it becomes it. */
export type Calibrator =
  | { readonly kind: 'entropy' }
  /** `percentile` of all magnitudes, 0–100, are below it. */
  | { readonly kind: 'percentile'; readonly percentile: number }
  | { readonly kind: 'max' };

/** Integers on one side of zero, zero among them: what a magnitude can become. */
const LEVELS = 128;

/** @throws SluiceError `config-invalid` for a name that is none, or a percentile outside 50–100. */
export function calibratorOf(kind: string, percentile: number | undefined): Calibrator {
  if (percentile !== undefined && kind !== 'percentile')
    throw invalid(`--percentile belongs to --calibrator percentile, but the calibrator is "${kind}"`);
  if (kind === 'entropy' || kind === 'max') return { kind };
  if (kind !== 'percentile')
    throw invalid(`there is no calibrator "${kind}": expected one of ${CALIBRATORS.join(', ')}`);
  const share = percentile ?? 99.99;
  if (share >= 50 && share <= 100) return { kind, percentile: share };
  throw invalid(`--percentile expects 50 to 100, such as 99.99; got ${share}`);
}

/** The magnitude that the largest integer stands for. 0 where the tensor held nothing but zeros. */
export function thresholdOf(seen: Magnitudes, calibrator: Calibrator): number {
  const largest = largestOf(seen);
  switch (calibrator.kind) {
    case 'max':
      return largest;
    case 'percentile':
      return Math.min(largest, percentileOf(seen, calibrator.percentile));
    case 'entropy':
      return Math.min(largest, leastDivergence(seen));
  }
}

function largestOf({ min, max }: Magnitudes): number {
  return Number.isFinite(min) ? Math.max(Math.abs(min), Math.abs(max)) : 0;
}

/** The upper end of the bin in which so many percent are reached. */
function percentileOf({ counts, binWidth }: Magnitudes, percentile: number): number {
  const wanted = (counts.reduce((a, b) => a + b, 0) * percentile) / 100;
  let below = 0;
  for (let i = 0; i < BINS; i++) {
    below += counts[i] as number;
    if (below >= wanted) return (i + 1) * binWidth;
  }
  return BINS * binWidth;
}

/**
 * The threshold whose 128 levels lose the least information: the smallest Kullback–Leibler divergence of the quantized
 * histogram from the one that is clipped there (S. Migacz, "8-bit Inference with TensorRT", GTC 2017, "Entropy
 * Calibration – pseudocode").
 *
 * The first bin counts as its neighbour does: the zeros that ReLU makes are exact in every quantization, and would
 * outweigh all else.
 */
function leastDivergence({ counts, binWidth }: Magnitudes): number {
  const bins = Float64Array.from(counts);
  bins[0] = Math.min(bins[0] as number, bins[1] as number);
  let last = BINS;
  while (last > 0 && bins[last - 1] === 0) last--;
  if (last <= LEVELS) return last === 0 ? BINS * binWidth : last * binWidth;
  const total = bins.reduce((a, b) => a + b, 0);
  let best = { divergence: Number.POSITIVE_INFINITY, bins: last };
  let inside = 0;
  for (let i = 0; i < LEVELS; i++) inside += bins[i] as number;
  for (let end = LEVELS; end <= last; end++) {
    const divergence = divergenceAt(bins, end, total, total - inside);
    if (divergence < best.divergence) best = { divergence, bins: end };
    inside += bins[end] ?? 0;
  }
  return best.bins * binWidth;
}

/**
 * KL(P ‖ Q) in nats. P are the first `end` bins with the `outliers` in the last of them; Q are the same bins without the
 * outliers, merged into {@link LEVELS} and spread again over those that are not empty.
 */
function divergenceAt(bins: Float64Array, end: number, total: number, outliers: number): number {
  const inside = total - outliers;
  if (inside <= 0) return Number.POSITIVE_INFINITY;
  let divergence = 0;
  for (let level = 0; level < LEVELS; level++) {
    const from = Math.floor((level * end) / LEVELS);
    const to = Math.floor(((level + 1) * end) / LEVELS);
    let sum = 0;
    let filled = 0;
    for (let i = from; i < to; i++) {
      const count = bins[i] as number;
      sum += count;
      if (count > 0) filled++;
    }
    const q = sum / Math.max(1, filled) / inside;
    for (let i = from; i < to; i++) {
      const count = bins[i] as number;
      const p = (count + (i === end - 1 ? outliers : 0)) / total;
      if (p === 0) continue;
      // All outliers lie in a bin that was empty: the quantized histogram says that there is nothing.
      if (count === 0) return Number.POSITIVE_INFINITY;
      divergence += p * Math.log(p / q);
    }
  }
  return divergence;
}

function invalid(message: string): SluiceError {
  return new SluiceError('config-invalid', message);
}
