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
    for (let channel = 0; channel < channels; channel++) {
      const [from, to] = [channel * inner, (channel + 1) * inner];
      const sum = sumOf(values, from, to);
      const shift = this.#range === undefined ? 0 : roundedSum(values, from, to, this.#range) - sum;
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

function sumOf(values: Float32Array, from: number, to: number): number {
  let sum = 0;
  for (let i = from; i < to; i++) sum += values[i] as number;
  return sum;
}

/** The sum of what QuantizeLinear and DequantizeLinear make of numbers. */
function roundedSum(
  values: Float32Array,
  from: number,
  to: number,
  { scale, zeroPoint, dtype }: Quantization,
): number {
  const least = (dtype === 'int8' ? -128 : 0) - zeroPoint;
  const most = least + 255;
  let sum = 0;
  for (let i = from; i < to; i++) {
    const level = Math.floor((values[i] as number) / scale + 0.5);
    sum += level < least ? least : level > most ? most : level;
  }
  return sum * scale;
}
