import type { Filter } from './filters.ts';

/** Weights are whole numbers of 2⁻²²: 32 bits, less the 8 of a level, less 2 for what a filter overshoots. */
export const PRECISION_BITS = 32 - 8 - 2;

/** Which source pixels of a line make which target pixel. */
export interface Taps {
  /** The most source pixels that a target pixel has. */
  readonly most: number;
  /** For each target pixel its first source pixel, and how many follow it, itself counted. */
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** int32 `[target, most]`, in units of 2⁻²²; 0 behind the last one. */
  readonly weights: Int32Array;
}

/**
 * The taps of a line of `source` pixels scaled to `target` pixels: the filter is stretched by the ratio where the
 * line shrinks. Source: Pillow, src/libImaging/Resample.c, `precompute_coeffs` and `normalize_coeffs_8bpc`.
 */
export function tapsOf(filter: Filter, source: number, target: number): Taps {
  const scale = source / target;
  const stretch = Math.max(scale, 1);
  const support = filter.support * stretch;
  const most = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(target);
  const count = new Int32Array(target);
  const weights = new Int32Array(target * most);
  const line = new Float64Array(most);
  for (let i = 0; i < target; i++) {
    const center = (i + 0.5) * scale;
    const from = Math.max(0, Math.trunc(center - support + 0.5));
    const length = Math.min(source, Math.trunc(center + support + 0.5)) - from;
    let sum = 0;
    for (let k = 0; k < length; k++) {
      // Multiplied, as Pillow does: divided by the stretch the last bit is another one.
      const weight = filter.weightAt((k + from - center + 0.5) * (1 / stretch));
      line[k] = weight;
      sum += weight;
    }
    for (let k = 0; k < length; k++) {
      const share = sum === 0 ? (line[k] as number) : (line[k] as number) / sum;
      weights[i * most + k] = Math.trunc(share * (1 << PRECISION_BITS) + (share < 0 ? -0.5 : 0.5));
    }
    first[i] = from;
    count[i] = length;
  }
  return { most, first, count, weights };
}
