import { create } from '@bufbuild/protobuf';
import { constantsOf } from '#models/import/graph-constants.ts';
import { freeName, readsOf } from '#models/import/graph-walk.ts';
import {
  type GraphProto,
  type NodeProto,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
} from '#models/onnx/generated/onnx_pb.js';
import type { ChannelExtents } from './calibration/channel-extents.ts';
import { type ChannelGroup, channelGroups, groupsOf, weightsOf } from './channel-groups.ts';
import { areOnGrid } from './quantize-weights.ts';
import { floatsOf } from './tensor-values.ts';

/** For each group that is scaled, by the name of its first value: what its channels are multiplied by. */
export type ChannelFactors = ReadonlyMap<string, Float64Array>;

/** What a Clip leaves to values that are larger than those seen: it cuts at so many times the largest one of a channel. */
const HEADROOM = 2;

/** A channel that is smaller than the largest one by more than this holds nothing that matters. */
const LEAST_SHARE = 1e-4;

/** Where weights pay for it: half of the way, as SmoothQuant does (α = 0.5). */
const SHARED_STRENGTH = 0.5;

/**
 * Factors that bring the channels of values nearer to each other, as all of them share one scale when they become integers:
 * (largest of all channels / largest of this one) ^ strength.
 *
 * Rows of weights have a scale for each output channel, and lose nothing by a factor. So where all that takes the values are
 * depthwise convolutions, which have one of their own for each channel, channels become equal (strength 1). Others pay with
 * the precision of the weights of that input: strength 0.5 (M. Nagel et al., "Data-Free Quantization Through Weight
 * Equalization and Bias Correction", ICCV 2019, section 4.1; G. Xiao et al., "SmoothQuant", ICML 2023, equation 4). Weights that were
 * integers before stay so: nothing that they give or take is scaled.
 *
 * Behind a Clip channels only grow, and to no more than its limit with {@link HEADROOM}: it cuts a channel at twice what
 * was seen of it, instead of at the limit. All else computes what it computed before.
 */
export function channelFactors(
  graph: GraphProto,
  extents: ReadonlyMap<string, ChannelExtents>,
): ChannelFactors {
  const constants = constantsOf(graph);
  const factors = new Map<string, Float64Array>();
  for (const group of channelGroups(graph)) {
    const strength = strengthOf(group, constants);
    const { limit, values } = group;
    const [name] = values;
    const largest = new Float64Array(group.channels);
    for (const value of values)
      for (const [i, seen] of (extents.get(value)?.largest ?? []).entries())
        largest[i] = Math.min(limit, Math.max(largest[i] as number, seen));
    const most = Math.max(...largest);
    if (strength === 0 || most === 0) continue;
    factors.set(
      name as string,
      largest.map((seen) => {
        if (seen <= most * LEAST_SHARE) return 1;
        const factor = (most / seen) ** strength;
        return Number.isFinite(limit) ? Math.max(1, Math.min(factor, limit / (seen * HEADROOM))) : factor;
      }),
    );
  }
  return factors;
}

/** Scales every group that has factors. Changes `graph`. */
export function equalizeChannels(graph: GraphProto, factors: ChannelFactors): void {
  for (const group of channelGroups(graph)) {
    const ofGroup = factors.get([...group.values][0] as string);
    if (ofGroup !== undefined) scaleChannels(graph, group, ofGroup);
  }
}

function strengthOf(
  { producers, consumers }: ChannelGroup,
  constants: ReadonlyMap<string, TensorProto>,
): number {
  if ([...producers, ...consumers].some((node) => areOnGrid(weightsOf(node, constants)))) return 0;
  return consumers.every((node) => weightsOf(node, constants).dims[1] === 1n) ? 1 : SHARED_STRENGTH;
}

/**
 * Multiplies the channels of a group by positive factors: rows of weights, and biases, of the convolutions that give them, and
 * divides what the convolutions that take them multiply them with. Changes `graph`, and no value outside of the group.
 */
function scaleChannels(
  graph: GraphProto,
  { producers, consumers }: ChannelGroup,
  factors: Float64Array,
): void {
  for (const node of producers) {
    const weights = weightsOf(node, constantsOf(graph));
    const inner = floatsOf(weights).length / factors.length;
    node.input[1] = replaced(
      graph,
      weights,
      (value, i) => value * (factors[Math.floor(i / inner)] as number),
    );
    const bias = constantsOf(graph).get(node.input[2] ?? '');
    if (bias !== undefined)
      node.input[2] = replaced(graph, bias, (value, i) => value * (factors[i] as number));
  }
  for (const node of consumers) {
    const weights = weightsOf(node, constantsOf(graph));
    const inputOf = inputOfWeight(node, weights);
    node.input[1] = replaced(graph, weights, (value, i) => value / (factors[inputOf(i)] as number));
  }
  const read = new Set(graph.node.flatMap((node) => [...readsOf(node)]));
  graph.initializer = graph.initializer.filter(({ name }) => read.has(name));
}

/** A copy of a tensor with other values: others may read it as it is. @returns its name. */
function replaced(
  graph: GraphProto,
  tensor: TensorProto,
  change: (value: number, i: number) => number,
): string {
  const name = freeName(graph, `${tensor.name}_equalized`);
  const rawData = new Uint8Array(Float32Array.from(floatsOf(tensor), change).buffer);
  graph.initializer.push(
    create(TensorProtoSchema, { name, dataType: TensorProto_DataType.FLOAT, dims: tensor.dims, rawData }),
  );
  return name;
}

/** The input channel that the weight at an index belongs to. */
function inputOfWeight(node: NodeProto, { dims }: TensorProto): (i: number) => number {
  const [outputs, inputsPerGroup, ...kernel] = dims.map(Number) as [number, number, ...number[]];
  const inner = kernel.reduce((a, b) => a * b, 1);
  const outputsPerGroup = outputs / groupsOf(node);
  return (i) => {
    const row = Math.floor(i / inner / inputsPerGroup);
    return Math.floor(row / outputsPerGroup) * inputsPerGroup + (Math.floor(i / inner) % inputsPerGroup);
  };
}
