import type { TensorProto } from '#models/onnx/generated/onnx_pb.js';
import { floatsOf } from './tensor-values.ts';

/** A channel of zeros may have any scale. */
const SCALE_OF_ZEROS = 1 / 127;

/** Biases stay this far from the ends of int32, so that the sum of products they are added to fits as well. */
const LARGEST_BIAS = 2 ** 30;

/**
 * Weights as integers from −127 to 127, symmetric, with a scale for each output channel: max|w| / 127.
 *
 * @param bias where it is to become int32 at the scale of the product: a channel of tiny weights with a large bias, as
 * folding BatchNormalization makes them, gets a scale that is coarse enough for the bias.
 */
export function quantizeWeights(
  weights: TensorProto,
  axis: number,
  bias?: { readonly values: Float32Array; readonly inputScale: number },
): { values: Int8Array<ArrayBuffer>; scales: Float32Array<ArrayBuffer> } {
  const floats = floatsOf(weights);
  const channelOf = channelIn(weights, axis);
  const largest = new Float32Array(Number(weights.dims[axis]));
  for (const [i, value] of floats.entries()) {
    const channel = channelOf(i);
    largest[channel] = Math.max(largest[channel] as number, Math.abs(value));
  }
  const step = gridStep(floats);
  const scales = largest.map((max, channel) => {
    // Weights that were integers before get those integers back, and lose nothing.
    const isOnGrid = step !== undefined && max <= 127.5 * step;
    const least =
      bias === undefined ? 0 : Math.abs(bias.values[channel] as number) / bias.inputScale / LARGEST_BIAS;
    return Math.max(max === 0 ? SCALE_OF_ZEROS : isOnGrid ? (step as number) : max / 127, least);
  });
  const values = Int8Array.from(floats, (value, i) => {
    const integer = Math.round(value / (scales[channelOf(i)] as number));
    return Math.max(-127, Math.min(127, integer));
  });
  return { values, scales };
}

/** The weights that integers stand for. */
export function dequantize(
  values: Int8Array,
  scales: Float32Array,
  weights: TensorProto,
  axis: number,
): Float32Array {
  const channelOf = channelIn(weights, axis);
  return Float32Array.from(values, (value, i) => value * (scales[channelOf(i)] as number));
}

/** The sum of the weights of each output channel. */
export function channelSums(values: Float32Array, weights: TensorProto, axis: number): Float64Array {
  const channelOf = channelIn(weights, axis);
  const sums = new Float64Array(Number(weights.dims[axis]));
  for (const [i, value] of values.entries()) sums[channelOf(i)] = (sums[channelOf(i)] as number) + value;
  return sums;
}

/** The output channel that the weight at an index belongs to. */
function channelIn({ dims }: TensorProto, axis: number): (i: number) => number {
  const channels = Number(dims[axis]);
  const inner = dims.slice(axis + 1).reduce((a, b) => a * Number(b), 1);
  return (i) => Math.floor(i / inner) % channels;
}

/** Biases as int32 at the scales of their channels. */
export function quantizeBias(bias: Float32Array, scales: Float32Array): Int32Array<ArrayBuffer> {
  return Int32Array.from(bias, (value, channel) => {
    const integer = Math.round(value / (scales[channel] as number));
    return Math.max(-LARGEST_BIAS, Math.min(LARGEST_BIAS, integer));
  });
}

/** Whether these weights were integers before, all of one step. */
export function areOnGrid(weights: TensorProto): boolean {
  return gridStep(floatsOf(weights)) !== undefined;
}

/** Steps that a weight may lie beside its grid: float32 and the folding of factors leave less than that. */
const OFF_GRID = 0.002;

/** Integers of 8 bits have at most so many differences from each other. */
const MOST_LEVELS = 512;

/**
 * The step of a grid that all these weights lie on, as those do that were dequantized; `undefined` where they lie on none
 * that is coarse enough to have been one.
 */
function gridStep(weights: Float32Array): number | undefined {
  const magnitudes = [...new Set(weights.map(Math.abs))].sort((a, b) => a - b);
  if (magnitudes.length > MOST_LEVELS) return undefined;
  const largest = magnitudes.at(-1) as number;
  let step = Number.POSITIVE_INFINITY;
  for (let i = 0; i < magnitudes.length; i++) {
    const gap = (magnitudes[i] as number) - (magnitudes[i - 1] ?? 0);
    if (gap > largest / MOST_LEVELS) step = Math.min(step, gap);
  }
  if (!Number.isFinite(step)) return undefined;
  // The largest one, many steps away, tells the step best.
  step = largest / Math.round(largest / step);
  const isOnGrid = magnitudes.every((value) => Math.abs(value / step - Math.round(value / step)) < OFF_GRID);
  return isOnGrid ? step : undefined;
}
