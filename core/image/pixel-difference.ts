/** How far pixels are from their reference, in levels (0–255). */
export interface PixelDifference {
  readonly mean: number;
  readonly p99: number;
  readonly max: number;
}

/** What training may differ by and still be taken for the same preprocessing, in one image. */
export const PIXEL_TOLERANCES = { maxMean: 0.8, maxP99: 5 } as const;

/** @param at value `i` of the pixels that are compared with value `i` of the reference. */
export function pixelDifference(reference: ArrayLike<number>, at: (i: number) => number): PixelDifference {
  const differences = new Float32Array(reference.length);
  let sum = 0;
  for (let i = 0; i < reference.length; i++) {
    const difference = Math.abs(at(i) - (reference[i] as number));
    differences[i] = difference;
    sum += difference;
  }
  // NaN would be sorted to the end, and be the maximum that it is.
  differences.sort();
  const last = reference.length - 1;
  return {
    mean: sum / reference.length,
    p99: differences[Math.floor(last * 0.99)] as number,
    max: differences[last] as number,
  };
}
