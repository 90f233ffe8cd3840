/** As many as TensorRT's calibrator has (S. Migacz, "8-bit Inference with TensorRT", GTC 2017). */
export const BINS = 2048;

/** What was seen of a tensor: its extremes, and a histogram of |x| over `[0, BINS · binWidth)`. */
export interface Magnitudes {
  readonly min: number;
  readonly max: number;
  readonly binWidth: number;
  /** Of length {@link BINS}. */
  readonly counts: Float64Array;
}

/**
 * Collects the histogram of |x| of a tensor over any number of images, in one pass. The range doubles when a value is
 * beyond it: two bins become one, so that nothing has to be seen twice.
 */
export class MagnitudeCollector implements Magnitudes {
  min = Number.POSITIVE_INFINITY;
  max = Number.NEGATIVE_INFINITY;
  binWidth = 0;
  counts = new Float64Array(BINS);

  /** Adds the values of one image. A value that is no finite number is left out, as nothing can stand for it. */
  add(values: Float32Array): void {
    let { min, max } = this;
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number;
      if (value < min && value > -Infinity) min = value;
      if (value > max && value < Infinity) max = value;
    }
    this.min = min;
    this.max = max;
    const largest = Math.max(Math.abs(min), Math.abs(max));
    if (!Number.isFinite(largest)) return;
    this.#reach(largest);
    const { counts } = this;
    // A tensor of nothing but zeros has no width: they are all in the first bin.
    const perUnit = this.binWidth === 0 ? 0 : 1 / this.binWidth;
    for (let i = 0; i < values.length; i++) {
      const magnitude = Math.abs(values[i] as number);
      if (!(magnitude < Infinity)) continue;
      // A whole number at once: Math.floor would give one in floating point.
      const bin = (magnitude * perUnit) | 0;
      const counted = bin < BINS ? bin : BINS - 1;
      counts[counted] = (counts[counted] as number) + 1;
    }
  }

  #reach(largest: number): void {
    if (largest === 0) return;
    if (this.binWidth === 0) this.binWidth = largest / BINS;
    while (this.binWidth * BINS < largest) {
      const { counts } = this;
      const wider = new Float64Array(BINS);
      for (let i = 0; i < BINS; i++) wider[i >> 1] = (wider[i >> 1] as number) + (counts[i] as number);
      this.counts = wider;
      this.binWidth *= 2;
    }
  }
}
