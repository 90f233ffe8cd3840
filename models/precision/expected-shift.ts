import type { ChannelMeans } from './calibration/channel-means.ts';
import type { Layer } from './quantization-plan.ts';
import { floatsOf } from './tensor-values.ts';

/**
 * By how much quantizing moves the mean of each output channel of a Conv or Gemm: E[Wq·xq − W·x] = (Wq − W)·E[x] + Wq·E[xq − x].
 * Taken off the bias it is gone (M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction",
 * ICCV 2019, section 4.2, with means that were measured). What padding does at the borders is left out.
 *
 * @param quantized the weights that integers stand for, in the order of the layer's own.
 */
export function expectedShift(
  { node, weights, axis }: Layer,
  quantized: Float32Array,
  { means, shifts }: ChannelMeans,
): Float32Array {
  const floats = floatsOf(weights);
  const dims = weights.dims.map(Number);
  const outputs = dims[axis] as number;
  const group = Number(node.attribute.find(({ name }) => name === 'group')?.i ?? 1n);
  const inputsPerGroup = dims[1 - axis] as number;
  const outputsPerGroup = outputs / group;
  const kernel = dims.slice(2).reduce((a, b) => a * b, 1);
  const result = new Float32Array(outputs);
  for (const [i, weight] of floats.entries()) {
    const second = Math.floor(i / kernel) % (dims[1] as number);
    const first = Math.floor(i / kernel / (dims[1] as number));
    const [output, inputInGroup] = axis === 0 ? [first, second] : [second, first];
    const input = Math.floor(output / outputsPerGroup) * inputsPerGroup + inputInGroup;
    const wq = quantized[i] as number;
    const moved = (wq - weight) * (means[input] as number) + wq * (shifts[input] as number);
    result[output] = (result[output] as number) + moved;
  }
  return result;
}
