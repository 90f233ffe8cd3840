import { constantsOf } from '#models/import/graph-constants.ts';
import { readsOf } from '#models/import/graph-walk.ts';
import {
  type GraphProto,
  type NodeProto,
  type TensorProto,
  TensorProto_DataType,
} from '#models/onnx/generated/onnx_pb.js';
import { absorbedZeroPoints } from './absorbed-zero-points.ts';
import type { Target } from './calibration/quantization.ts';

/** A node that multiplies by weights. */
export interface Layer {
  readonly node: NodeProto;
  readonly weights: TensorProto;
  /** The axis of the weights that counts the output channels. */
  readonly axis: number;
  /** Whether only its weights are stored as integers, and it computes on floats. */
  readonly isWeightOnly: boolean;
}

/** What of a graph is to be computed on integers. */
export interface QuantizationPlan {
  readonly layers: readonly Layer[];
  /** Values that integers stand for, in the order of the graph. */
  readonly activations: readonly string[];
  /** Those of them whose zero point biases take in, and of each the value that its layer gives. */
  readonly absorbed: ReadonlyMap<string, string>;
  /** Nodes on the way to a layer: they read what is quantized. All others, such as a detector's head, read floats. */
  readonly readers: ReadonlySet<NodeProto>;
}

/**
 * Chooses what to quantize: the inputs of every Conv, Gemm and MatMul with constant weights, and the Adds between them
 * (the shortcuts of residual networks), as their runtime can fuse it.
 *
 * - `gpu`: of two summands the one that a convolution gives stays as it is, so that TensorRT adds within that convolution
 *   (TensorRT developer guide, "Q/DQ Layer-Placement Recommendations"). Zero points are what biases can take in.
 * - `cpu`: also what layers give, behind their activation, and sums: ONNX Runtime's integer kernels have integers at both
 *   ends (QLinearConv, QLinearAdd).
 *
 * Not chosen: what no layer comes after (Softmax, decoding, the last logits) or before (the scaling of pixels). Of the last
 * layers only the weights are stored as integers.
 *
 * @param keepFloat layers that stay as they are, by the name of the value they give: nodes need no name of their own.
 */
export function planQuantization(
  graph: GraphProto,
  target: Target,
  keepFloat: ReadonlySet<string> = new Set(),
): QuantizationPlan {
  const constants = constantsOf(graph);
  const all = graph.node.flatMap((node) => layerOf(node, constants) ?? []);
  const allNodes = new Set(all.map(({ node }) => node));
  const last = lastOf(graph, allNodes);
  const layers = all
    .filter(({ node }) => !keepFloat.has(node.output[0] as string))
    .map((layer) => ({ ...layer, isWeightOnly: last.has(layer.node) }));
  const layerNodes = new Set(layers.filter((layer) => !layer.isWeightOnly).map(({ node }) => node));
  const readers = leadingTo(graph, new Set(layers.map(({ node }) => node)));
  const computed = computedFrom(graph, layerNodes);
  const consumers = consumersOf(graph);
  const chosen = new Set([...layerNodes].map(({ input }) => input[0] as string));
  for (const node of graph.node) {
    if (!readers.has(node)) continue;
    if (node.opType === 'Add' && node.input.every((name) => computed.has(name)))
      for (const name of summands(node, target, allNodes, consumers, graph)) chosen.add(name);
    if (target === 'cpu' && layerNodes.has(node)) {
      const value = behindActivation(node, consumers, constants);
      if (consumers.get(value)?.some((reader) => readers.has(reader))) chosen.add(value);
    }
  }
  const order = graph.node.flatMap(({ output }) => output);
  const inputs = [...chosen].filter((name) => !order.includes(name));
  return {
    layers,
    readers,
    activations: [...inputs, ...order.filter((name) => chosen.has(name))],
    absorbed: target === 'gpu' ? absorbedZeroPoints(graph, layers, constants, consumers) : new Map(),
  };
}

/** What of an Add becomes integers. */
function summands(
  node: NodeProto,
  target: Target,
  layers: ReadonlySet<NodeProto>,
  consumers: ReadonlyMap<string, readonly NodeProto[]>,
  graph: GraphProto,
): string[] {
  if (target === 'cpu') return [...node.input, node.output[0] as string];
  const givenByLayer = node.input.filter((name) => {
    const producer = graph.node.find(({ output }) => output.includes(name));
    return producer !== undefined && layers.has(producer) && consumers.get(name)?.length === 1;
  });
  const fused = givenByLayer.at(-1);
  return node.input.filter((name) => name !== fused);
}

/** A node with its weights; `undefined` where it has none, or does more than multiply and add. */
function layerOf(
  node: NodeProto,
  constants: ReadonlyMap<string, TensorProto>,
): Omit<Layer, 'isWeightOnly'> | undefined {
  const weights = constants.get(node.input[1] ?? '');
  if (weights?.dataType !== TensorProto_DataType.FLOAT || constants.has(node.input[0] ?? ''))
    return undefined;
  const attribute = (name: string) => node.attribute.find((one) => one.name === name);
  switch (node.opType) {
    case 'Conv':
      return { node, weights, axis: 0 };
    case 'MatMul':
      return weights.dims.length === 2 ? { node, weights, axis: 1 } : undefined;
    case 'Gemm': {
      const isPlain = (attribute('alpha')?.f ?? 1) === 1 && (attribute('beta')?.f ?? 1) === 1;
      if (!isPlain || (attribute('transA')?.i ?? 0n) !== 0n) return undefined;
      return { node, weights, axis: (attribute('transB')?.i ?? 0n) === 0n ? 1 : 0 };
    }
    default:
      return undefined;
  }
}

/** The value behind a Relu or Clip that alone reads what a layer gives; else what it gives itself. */
function behindActivation(
  layer: NodeProto,
  consumers: ReadonlyMap<string, readonly NodeProto[]>,
  constants: ReadonlyMap<string, TensorProto>,
): string {
  const value = layer.output[0] as string;
  const [reader, ...others] = consumers.get(value) ?? [];
  if (reader === undefined || others.length > 0) return value;
  const isClip = reader.opType === 'Clip' && reader.input.slice(1).every((name) => constants.has(name));
  return isClip || reader.opType === 'Relu' ? (reader.output[0] as string) : value;
}

function consumersOf(graph: GraphProto): Map<string, NodeProto[]> {
  const consumers = new Map<string, NodeProto[]>();
  for (const node of graph.node)
    for (const name of new Set(readsOf(node))) consumers.set(name, [...(consumers.get(name) ?? []), node]);
  return consumers;
}

/** The nodes from which a layer is reached, the layers among them. */
function leadingTo(graph: GraphProto, layers: ReadonlySet<NodeProto>): ReadonlySet<NodeProto> {
  const wanted = new Set<string>();
  const leading = new Set<NodeProto>();
  for (const node of graph.node.toReversed()) {
    if (!layers.has(node) && !node.output.some((name) => wanted.has(name))) continue;
    leading.add(node);
    for (const name of readsOf(node)) wanted.add(name);
  }
  return leading;
}

/** The layers that no other comes after: the heads, whose logits small steps would blur. */
function lastOf(graph: GraphProto, layers: ReadonlySet<NodeProto>): ReadonlySet<NodeProto> {
  const wanted = new Set<string>();
  const last = new Set<NodeProto>();
  for (const node of graph.node.toReversed()) {
    const leadsOn = node.output.some((name) => wanted.has(name));
    if (layers.has(node) && !leadsOn) last.add(node);
    if (layers.has(node) || leadsOn) for (const name of readsOf(node)) wanted.add(name);
  }
  return last;
}

/** The values that depend on a layer. */
function computedFrom(graph: GraphProto, layers: ReadonlySet<NodeProto>): ReadonlySet<string> {
  const computed = new Set<string>();
  for (const node of graph.node)
    if (layers.has(node) || [...readsOf(node)].some((name) => computed.has(name)))
      for (const name of node.output) computed.add(name);
  return computed;
}
