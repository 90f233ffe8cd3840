import type { Quantization } from './quantization.ts';

/** Of each channel of a value: its mean, and by how much rounding to integers moves that mean. */
export interface ChannelMeans {
  readonly means: Float64Array;
  readonly shifts: Float64Array;
}

/** Sums up the channels of a value over images. */
export class ChannelMeansCollector implements ChannelMeans {
  readonly #range: Quantization | undefined;
  #sums = new Float64Array();
  #shifts = new Float64Array();
  #perChannel = 0;

  /** @param range `undefined` for a value that stays float. */
  constructor(range: Quantization | undefined) {
    this.#range = range;
  }

  /** Adds a value of one image: `[1, channels, …]`. */
  add(values: Float32Array, shape: readonly number[]): void {
    const channels = shape[1] ?? 1;
    if (this.#sums.length === 0) {
      this.#sums = new Float64Array(channels);
      this.#shifts = new Float64Array(channels);
    }
    const inner = values.length / channels;
    const rounded = rounding(this.#range);
    for (let channel = 0; channel < channels; channel++) {
      let sum = 0;
      let shift = 0;
      for (let i = channel * inner; i < (channel + 1) * inner; i++) {
        const value = values[i] as number;
        sum += value;
        shift += rounded(value) - value;
      }
      this.#sums[channel] = (this.#sums[channel] as number) + sum;
      this.#shifts[channel] = (this.#shifts[channel] as number) + shift;
    }
    this.#perChannel += inner;
  }

  get means(): Float64Array {
    return this.#sums.map((sum) => sum / this.#perChannel);
  }

  get shifts(): Float64Array {
    return this.#shifts.map((sum) => sum / this.#perChannel);
  }
}

/** What QuantizeLinear and DequantizeLinear make of a number. */
function rounding(range: Quantization | undefined): (value: number) => number {
  if (range === undefined) return (value) => value;
  const { scale, zeroPoint, dtype } = range;
  const least = (dtype === 'int8' ? -128 : 0) - zeroPoint;
  return (value) => Math.max(least, Math.min(least + 255, Math.round(value / scale))) * scale;
}
