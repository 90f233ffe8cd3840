import { create } from '@bufbuild/protobuf';
import { constantsOf } from '#models/import/graph-constants.ts';
import {
  type GraphProto,
  type NodeProto,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
} from '#models/onnx/generated/onnx_pb.js';
import { floatsOf } from './tensor-values.ts';

/**
 * Weights that are stored as integers become float32: a file that was made small by `DequantizeLinear` over its weights
 * is a float model all the same. Changes `graph`.
 *
 * y = (x − zero point) · scale, per tensor or along an axis (onnx/docs/Operators.md, DequantizeLinear).
 */
export function foldWeights(graph: GraphProto): void {
  const constants = constantsOf(graph);
  const folded = new Set<NodeProto>();
  for (const node of graph.node) {
    if (node.opType !== 'DequantizeLinear') continue;
    const [x, scale, zeroPoint] = node.input.map((name) => constants.get(name));
    const hasZeroPoint = node.input[2] !== undefined && node.input[2] !== '';
    if (x === undefined || scale === undefined || (hasZeroPoint && zeroPoint === undefined)) continue;
    if (node.attribute.some(({ name, i }) => name === 'block_size' && i !== 0n)) continue;
    graph.initializer.push(dequantized(node, x, scale, zeroPoint));
    folded.add(node);
  }
  graph.node = graph.node.filter((node) => !folded.has(node));
  const read = new Set(graph.node.flatMap(({ input }) => input));
  graph.initializer = graph.initializer.filter(({ name }) => read.has(name));
}

function dequantized(
  node: NodeProto,
  x: TensorProto,
  scale: TensorProto,
  zeroPoint: TensorProto | undefined,
): TensorProto {
  const values = floatsOf(x);
  const scales = floatsOf(scale);
  const zeros = zeroPoint === undefined ? new Float32Array(scales.length) : floatsOf(zeroPoint);
  const dims = x.dims.map(Number);
  const axis = Number(node.attribute.find(({ name }) => name === 'axis')?.i ?? 1n);
  const from = axis < 0 ? axis + dims.length : axis;
  const inner = dims.slice(from + 1).reduce((a, b) => a * b, 1);
  const floats = values.map((value, i) => {
    const channel = scales.length === 1 ? 0 : Math.floor(i / inner) % (dims[from] as number);
    return (value - (zeros[channel] as number)) * (scales[channel] as number);
  });
  return create(TensorProtoSchema, {
    name: node.output[0] as string,
    dims: x.dims,
    dataType: TensorProto_DataType.FLOAT,
    rawData: new Uint8Array(floats.buffer),
  });
}
