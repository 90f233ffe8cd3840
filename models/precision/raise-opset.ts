import { SluiceError } from '#core/error.ts';
import { addFloats, addInts, newNode } from '#models/import/graph-constants.ts';
import { freeName } from '#models/import/graph-walk.ts';
import type { AttributeProto, GraphProto, ModelProto, NodeProto } from '#models/onnx/generated/onnx_pb.js';

/** The first opset in which DequantizeLinear knows of channels. */
const QUANTIZED_OPSET = 13;

/** Operators whose meaning changed before opset 13 in ways that no rule below covers, and the opset of that change. */
const CHANGED: Readonly<Record<string, number>> = {
  Upsample: 10,
  Resize: 11,
  TopK: 11,
  Dropout: 12,
  Scan: 9,
  BatchNormalization: 9,
};

/**
 * Takes a graph to opset 13, where it has an older one. Changes `model`. What is not mentioned in CHANGED or below means
 * the same in opset 7 and 13 (onnx/docs/Changelog.md).
 *
 * @throws SluiceError `model-invalid` where an operator cannot be taken over.
 */
export function raiseOpset(model: ModelProto): void {
  const stated = model.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx');
  const opset = Number(stated?.version ?? 1);
  if (stated === undefined || opset >= QUANTIZED_OPSET) return;
  const graph = model.graph as GraphProto;
  graph.node = graph.node.flatMap((node) => raised(graph, node, opset));
  stated.version = BigInt(QUANTIZED_OPSET);
}

function raised(graph: GraphProto, node: NodeProto, opset: number): NodeProto[] {
  if (opset < (CHANGED[node.opType] ?? 0) || node.attribute.some(({ g }) => g !== undefined))
    throw new SluiceError(
      'model-invalid',
      `the model has opset ${opset}, and its node "${node.name}" (${node.opType}) cannot be taken to opset ${QUANTIZED_OPSET}, which quantizing by channel needs: export it with opset ${QUANTIZED_OPSET} or newer, and import it again`,
    );
  const base = node.output[0] as string;
  const take = (name: string): AttributeProto | undefined => {
    const attribute = node.attribute.find((one) => one.name === name);
    node.attribute = node.attribute.filter((one) => one !== attribute);
    return attribute;
  };
  const ints = (name: string): string => {
    const values = take(name)?.ints.map(toNumber);
    return values === undefined ? '' : addInts(graph, `${base}_${name}`, values);
  };
  const float = (name: string, otherwise: number | undefined): string => {
    const value = take(name)?.f ?? otherwise;
    return value === undefined ? '' : addFloats(graph, `${base}_${name}`, [], [value]);
  };
  const [x] = node.input as [string];
  switch (node.opType) {
    case 'Squeeze':
    case 'Unsqueeze':
    case 'ReduceSum':
      node.input = withoutLastEmpty([x, ints('axes')]);
      break;
    case 'Split':
      node.input = withoutLastEmpty([x, ints('split')]);
      break;
    case 'Slice':
      if (opset < 10) node.input = slice(graph, node, x, take('axes'), ints('starts'), ints('ends'));
      break;
    case 'Clip':
      if (opset < 11) node.input = withoutLastEmpty([x, float('min', undefined), float('max', undefined)]);
      break;
    case 'Pad':
      if (opset < 11) node.input = [x, ints('pads'), float('value', 0)];
      break;
    case 'Softmax':
    case 'LogSoftmax':
    case 'Hardmax':
      return overRest(graph, node, Number(take('axis')?.i ?? 1n));
  }
  return [node];
}

function slice(
  graph: GraphProto,
  node: NodeProto,
  x: string,
  axes: AttributeProto | undefined,
  starts: string,
  ends: string,
): string[] {
  if (axes === undefined) return [x, starts, ends];
  return [x, starts, ends, addInts(graph, `${node.output[0]}_axes`, axes.ints.map(toNumber))];
}

/** Up to opset 12 these went over all dimensions from `axis` on, as if they were one. */
function overRest(graph: GraphProto, node: NodeProto, axis: number): NodeProto[] {
  const last = newNode(node.opType, [], '', { axis: -1 }).attribute;
  node.attribute.push(...last);
  if (axis === -1) return [node];
  const [x] = node.input as [string];
  const y = node.output[0] as string;
  const names = ['shape', 'flat', 'result'].map((part) => freeName(graph, `${y}_${part}`));
  const [shape, flat, result] = names as [string, string, string];
  node.input[0] = flat;
  node.output[0] = result;
  // Nodes that are added are called like what they give, as this one may be.
  node.name = result;
  return [
    newNode('Shape', [x], shape),
    newNode('Flatten', [x], flat, { axis }),
    node,
    newNode('Reshape', [result, shape], y),
  ];
}

/** "To the end" is often the largest int64, which a number would round up to one that is none. */
function toNumber(value: bigint): number {
  return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(value)));
}

function withoutLastEmpty(names: readonly string[]): string[] {
  return names.slice(0, names.findLastIndex((name) => name !== '') + 1);
}
