/** The largest magnitude of each channel of a value. */
export interface ChannelExtents {
  readonly largest: Float64Array;
}

/** Collects the extents of the channels of a value over images. */
export class ChannelExtentsCollector implements ChannelExtents {
  largest = new Float64Array();

  /** Adds a value of one image: `[1, channels, …]`. A value that is no finite number is left out. */
  add(values: Float32Array, shape: readonly number[]): void {
    const channels = shape[1] ?? 1;
    if (this.largest.length === 0) this.largest = new Float64Array(channels);
    const inner = values.length / channels;
    for (let channel = 0; channel < channels; channel++) {
      let largest = this.largest[channel] as number;
      for (let i = channel * inner; i < (channel + 1) * inner; i++) {
        const magnitude = Math.abs(values[i] as number);
        if (magnitude > largest && magnitude < Infinity) largest = magnitude;
      }
      this.largest[channel] = largest;
    }
  }
}
