import { type TensorProto, TensorProto_DataType } from '#models/onnx/generated/onnx_pb.js';
import type { Layer } from './quantization-plan.ts';
import { floatsOf } from './tensor-values.ts';

/**
 * The float32 bias of a Conv or Gemm, one number for each channel, zeros where it has none; `undefined` where it is of
 * another kind, or the node takes none.
 */
export function biasOf(
  constants: ReadonlyMap<string, TensorProto>,
  { node, weights, axis }: Pick<Layer, 'node' | 'weights' | 'axis'>,
): Float32Array<ArrayBuffer> | undefined {
  const channels = Number(weights.dims[axis]);
  if (node.opType === 'MatMul') return undefined;
  if ((node.input[2] ?? '') === '') return new Float32Array(channels);
  const bias = constants.get(node.input[2] as string);
  if (bias?.dataType !== TensorProto_DataType.FLOAT || bias.dims.length !== 1) return undefined;
  return Number(bias.dims[0]) === channels ? Float32Array.from(floatsOf(bias)) : undefined;
}
