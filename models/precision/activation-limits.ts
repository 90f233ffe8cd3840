import type { NodeProto, TensorProto } from '#models/onnx/generated/onnx_pb.js';
import { floatsOf } from './tensor-values.ts';

/** Between what values lie behind a Relu or a Clip with constant limits; `undefined` behind any other node. */
export function limitsOf(
  node: NodeProto,
  constants: ReadonlyMap<string, TensorProto>,
): { low: number; high: number } | undefined {
  if (node.opType === 'Relu') return { low: 0, high: Number.POSITIVE_INFINITY };
  if (node.opType !== 'Clip') return undefined;
  const limit = (i: number, otherwise: number): number | undefined => {
    const name = node.input[i] ?? '';
    if (name === '') return otherwise;
    const tensor = constants.get(name);
    return tensor && floatsOf(tensor)[0];
  };
  const low = limit(1, Number.NEGATIVE_INFINITY);
  const high = limit(2, Number.POSITIVE_INFINITY);
  return low === undefined || high === undefined ? undefined : { low, high };
}
