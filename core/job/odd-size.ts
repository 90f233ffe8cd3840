/** The range of ordinary sizes in a job: sqrt(width · height), in pixels. */
export interface SizeRange {
  readonly lowPx: number;
  readonly highPx: number;
}

/**
 * [Q1 − k · IQR, Q3 + k · IQR] of the sizes, with quartiles by linear interpolation between order statistics
 * (numpy's default). This is CleanVision's rule, with its k = 3.
 *
 * @param sizesPx sqrt(width · height) of every audited image; sorted in place.
 */
export function ordinarySizes(sizesPx: Float64Array, iqrs: number): SizeRange {
  if (sizesPx.length === 0) return { lowPx: 0, highPx: Number.POSITIVE_INFINITY };
  sizesPx.sort();
  const q1 = quantile(sizesPx, 0.25);
  const q3 = quantile(sizesPx, 0.75);
  return { lowPx: q1 - iqrs * (q3 - q1), highPx: q3 + iqrs * (q3 - q1) };
}

/** An image's size as {@link ordinarySizes} counts it: sqrt(width) · sqrt(height), in pixels. */
export function sizePx(widthPx: number, heightPx: number): number {
  return Math.sqrt(widthPx) * Math.sqrt(heightPx);
}

/**
 * Outside the range, by more than rounding: where all sizes are equal the range is a point, and a size
 * computed from height × width instead of width × height must not fall out of it.
 */
export function isOddSize(size: number, range: SizeRange): boolean {
  const slack = 1e-9 * size;
  return size < range.lowPx - slack || size > range.highPx + slack;
}

function quantile(sorted: Float64Array, q: number): number {
  const at = (sorted.length - 1) * q;
  const below = sorted[Math.floor(at)] as number;
  const above = sorted[Math.ceil(at)] as number;
  return below + (above - below) * (at - Math.floor(at));
}
