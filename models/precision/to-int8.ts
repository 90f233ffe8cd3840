import { clone, create } from '@bufbuild/protobuf';
import { constantsOf, newNode } from '#models/import/graph-constants.ts';
import { freeName } from '#models/import/graph-walk.ts';
import {
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  TensorProto_DataType,
  TensorProtoSchema,
} from '#models/onnx/generated/onnx_pb.js';
import type { ChannelMeans } from './calibration/channel-means.ts';
import { aroundZero, type Quantization, type Target } from './calibration/quantization.ts';
import { bypass, dropActivations, dropRanges } from './drop-activations.ts';
import { expectedShift } from './expected-shift.ts';
import { biasOf } from './layer-bias.ts';
import { type Layer, planQuantization, type QuantizationPlan } from './quantization-plan.ts';
import { channelSums, dequantize, quantizeBias, quantizeWeights } from './quantize-weights.ts';

const { FLOAT, INT8, INT32, UINT8 } = TensorProto_DataType;

export interface Int8Options {
  readonly target: Target;
  /** Of every activation that `planQuantization` names. */
  readonly ranges: ReadonlyMap<string, Quantization>;
  /** Of the inputs of layers: biases are corrected by them. */
  readonly channels?: ReadonlyMap<string, ChannelMeans>;
  /** Layers that stay float, by the name of the value they give. */
  readonly keepFloat?: ReadonlySet<string>;
}

/**
 * A model whose layers compute on 8-bit integers, in QDQ form: QuantizeLinear and DequantizeLinear stand around what is to
 * be integers, and a runtime makes integer kernels of them. Weights are int8, symmetric, with a scale for each output
 * channel; inputs and outputs stay as they are. `model` is left as it is.
 *
 * Biases are float32 for a GPU, where TensorRT adds them so, and int32 with the scale of the product for a CPU, where ONNX
 * Runtime takes no other into QLinearConv.
 */
export function toInt8(model: ModelProto, options: Int8Options): ModelProto {
  const { target, ranges, keepFloat } = options;
  const quantized = clone(ModelProtoSchema, model);
  const graph = quantized.graph as GraphProto;
  const plan = planQuantization(graph, target, keepFloat);
  const moved = movedValues(plan, ranges);
  const weightNodes = plan.layers.flatMap((layer) => quantizedLayer(graph, layer, moved, options));
  const rangeOf = (name: string): Quantization => {
    const range = ranges.get(name) as Quantization;
    if (target === 'cpu') return range;
    return moved.has(name) ? { ...range, zeroPoint: 0 } : aroundZero(range);
  };
  const pairs = new Map(plan.activations.map((name) => [name, pairFor(graph, name, rangeOf(name))]));
  for (const node of plan.readers) node.input = node.input.map((name) => pairs.get(name)?.result ?? name);
  const given = new Set(graph.node.flatMap(({ output }) => output));
  const fromOutside = [...pairs].filter(([name]) => !given.has(name)).flatMap(([, { nodes }]) => nodes);
  graph.node = [
    ...weightNodes,
    ...fromOutside,
    ...graph.node.flatMap((node) => [
      node,
      ...node.output.flatMap((name) => (given.has(name) ? (pairs.get(name)?.nodes ?? []) : [])),
    ]),
  ];
  if (target === 'cpu') dropActivations(graph, ranges);
  else {
    dropRanges(graph, plan.readers);
    bypass(
      graph,
      (node) => moved.has(node.output[0] as string) && plan.absorbed.has(node.output[0] as string),
    );
  }
  // What is said about the values in between is not true any more, and can be inferred.
  graph.valueInfo = [];
  const read = new Set(graph.node.flatMap(({ input }) => input));
  graph.initializer = graph.initializer.filter(({ name }) => read.has(name));
  return quantized;
}

/**
 * By how much values become smaller where biases take their zero point in: what lies behind a Relu or Clip, and what the
 * layer before it gives.
 */
function movedValues(
  { absorbed }: QuantizationPlan,
  ranges: ReadonlyMap<string, Quantization>,
): ReadonlyMap<string, number> {
  const moved = new Map<string, number>();
  for (const [value, given] of absorbed) {
    const { scale, zeroPoint } = ranges.get(value) as Quantization;
    if (zeroPoint === 0) continue;
    moved.set(value, -zeroPoint * scale);
    moved.set(given, -zeroPoint * scale);
  }
  return moved;
}

/** Puts a layer's weights, and its bias where the target wants it, behind DequantizeLinear. @returns those nodes. */
function quantizedLayer(
  graph: GraphProto,
  layer: Layer,
  moved: ReadonlyMap<string, number>,
  options: Int8Options,
): NodeProto[] {
  const { node, weights, axis } = layer;
  const { ranges, channels, target } = options;
  const input = layer.isWeightOnly ? undefined : ranges.get(node.input[0] as string);
  const bias = biasOf(constantsOf(graph), layer);
  const isIntegerBias = target === 'cpu' && bias !== undefined && input !== undefined;
  const { values, scales } = quantizeWeights(
    weights,
    axis,
    isIntegerBias ? { values: bias, inputScale: input.scale } : undefined,
  );
  const base = `${weights.name}_${node.output[0]}`;
  const nodes = [
    dequantizing(graph, base, axis, scales, {
      name: add(graph, `${base}_int8`, INT8, weights.dims, new Uint8Array(values.buffer)),
      dataType: INT8,
    }),
  ];
  const means = channels?.get(node.input[0] as string);
  node.input[1] = nodes[0]?.output[0] as string;
  if (bias === undefined) return nodes;
  const quantized = dequantize(values, scales, weights, axis);
  const shift = means && expectedShift(layer, quantized, means);
  const [inputMove, outputMove] = [node.input[0], node.output[0]].map(
    (name) => moved.get(name as string) ?? 0,
  );
  const sums = inputMove === 0 ? undefined : channelSums(quantized, weights, axis);
  const corrected = bias.map(
    (value, i) =>
      value - (shift?.[i] ?? 0) + (inputMove as number) * (sums?.[i] ?? 0) - (outputMove as number),
  );
  const dims = [BigInt(bias.length)];
  if (!isIntegerBias) {
    node.input[2] = add(graph, `${base}_bias`, FLOAT, dims, new Uint8Array(corrected.buffer));
    return nodes;
  }
  const product = scales.map((scale) => scale * input.scale);
  const integers = quantizeBias(corrected, product);
  const biasNode = dequantizing(graph, `${base}_bias`, 0, product, {
    name: add(graph, `${base}_bias_int32`, INT32, dims, new Uint8Array(integers.buffer)),
    dataType: INT32,
  });
  node.input[2] = biasNode.output[0] as string;
  return [...nodes, biasNode];
}

/** Floats of symmetric integers with a scale for each length of an axis. */
function dequantizing(
  graph: GraphProto,
  base: string,
  axis: number,
  scales: Float32Array<ArrayBuffer>,
  integers: { readonly name: string; readonly dataType: TensorProto_DataType },
): NodeProto {
  const channels = [BigInt(scales.length)];
  const bytes = (integers.dataType === INT8 ? 1 : 4) * scales.length;
  const scale = add(graph, `${base}_scale`, FLOAT, channels, new Uint8Array(scales.buffer));
  const zero = add(graph, `${base}_zero`, integers.dataType, channels, new Uint8Array(bytes));
  const result = freeName(graph, `${base}_dequantized`);
  return newNode('DequantizeLinear', [integers.name, scale, zero], result, { axis });
}

/** The pair of nodes that makes integers of a value and floats of those again. */
function pairFor(
  graph: GraphProto,
  name: string,
  { scale, zeroPoint, dtype }: Quantization,
): { result: string; nodes: NodeProto[] } {
  const scaleName = add(graph, `${name}_scale`, FLOAT, [], new Uint8Array(Float32Array.of(scale).buffer));
  const zeroName = add(graph, `${name}_zero`, dtype === 'int8' ? INT8 : UINT8, [], Uint8Array.of(zeroPoint));
  const integers = freeName(graph, `${name}_quantized`);
  const result = freeName(graph, `${name}_dequantized`);
  return {
    result,
    nodes: [
      newNode('QuantizeLinear', [name, scaleName, zeroName], integers),
      newNode('DequantizeLinear', [integers, scaleName, zeroName], result),
    ],
  };
}

function add(
  graph: GraphProto,
  wanted: string,
  dataType: TensorProto_DataType,
  dims: bigint[],
  rawData: Uint8Array,
): string {
  const name = freeName(graph, wanted);
  graph.initializer.push(create(TensorProtoSchema, { name, dataType, dims, rawData }));
  return name;
}
