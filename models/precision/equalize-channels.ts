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
import { areOnGrid } from './quantize-weights.ts';
import { floatsOf } from './tensor-values.ts';

/** Values whose channels can be scaled together, and the convolutions that give and take them. */
interface ChannelGroup {
  readonly channels: number;
  /** Every value between those convolutions. */
  readonly values: ReadonlySet<string>;
  readonly producers: readonly NodeProto[];
  readonly consumers: readonly NodeProto[];
  /** Where the lowest Clip cuts; infinite without one. */
  readonly limit: number;
}

/** Operators that give factor · f(x) for factor · x, channel by channel, whatever positive number the factor is. */
const HOMOGENEOUS = new Set(['Relu', 'LeakyRelu', 'Identity', 'MaxPool', 'AveragePool', 'GlobalAveragePool']);

/**
 * The groups of a graph, in its order. Where anything else reads or gives one of the values, there is no group: it would see the
 * factors.
 */
export function channelGroups(graph: GraphProto): ChannelGroup[] {
  const constants = constantsOf(graph);
  const groupOf = new Map<string, Draft>();
  const drafts = new Set<Draft>();
  const draftOf = (value: string): Draft => {
    const known = groupOf.get(value);
    if (known !== undefined) return known;
    const draft: Draft = {
      values: new Set([value]),
      producers: [],
      consumers: [],
      limit: Infinity,
      isOpen: false,
    };
    groupOf.set(value, draft);
    drafts.add(draft);
    return draft;
  };
  const join = (a: string, b: string): Draft => {
    const [one, other] = [draftOf(a), draftOf(b)];
    if (one === other) return one;
    for (const value of other.values) {
      one.values.add(value);
      groupOf.set(value, one);
    }
    one.producers.push(...other.producers);
    one.consumers.push(...other.consumers);
    one.limit = Math.min(one.limit, other.limit);
    one.isOpen ||= other.isOpen;
    drafts.delete(other);
    return one;
  };
  for (const { name } of [...graph.input, ...graph.output]) draftOf(name).isOpen = true;
  for (const node of graph.node) {
    const [x, y] = [node.input[0] as string, node.output[0] as string];
    if (isScalable(node, constants)) {
      draftOf(x).consumers.push(node);
      draftOf(y).producers.push(node);
    } else if (HOMOGENEOUS.has(node.opType) && node.output.length === 1) join(x, y);
    else if (node.opType === 'Clip' && clipLimit(node, constants) !== undefined) {
      const draft = join(x, y);
      draft.limit = Math.min(draft.limit, clipLimit(node, constants) as number);
    } else if (node.opType === 'Add' && !node.input.some((name) => constants.has(name)))
      for (const name of node.input) join(name, y);
    else for (const name of [...readsOf(node), ...node.output]) draftOf(name).isOpen = true;
  }
  return [...drafts].flatMap(({ isOpen, ...group }) => {
    if (isOpen || group.producers.length === 0 || group.consumers.length === 0) return [];
    const counts = [
      ...group.producers.map((node) => outputsOf(node, constants)),
      ...group.consumers.map((node) => inputsOf(node, constants)),
    ];
    const channels = counts[0] as number;
    return counts.every((count) => count === channels) ? [{ ...group, channels }] : [];
  });
}

interface Draft {
  readonly values: Set<string>;
  readonly producers: NodeProto[];
  readonly consumers: NodeProto[];
  limit: number;
  /** Whether something that is no part of the group sees a value of it. */
  isOpen: boolean;
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

function isScalable(node: NodeProto, constants: ReadonlyMap<string, TensorProto>): boolean {
  if (node.opType !== 'Conv' || constants.has(node.input[0] as string)) return false;
  const bias = node.input[2] ?? '';
  return [node.input[1] as string, ...(bias === '' ? [] : [bias])].every(
    (name) => constants.get(name)?.dataType === TensorProto_DataType.FLOAT,
  );
}

/** The upper limit of a Clip from zero on; `undefined` for any other. */
function clipLimit(node: NodeProto, constants: ReadonlyMap<string, TensorProto>): number | undefined {
  const [low, high] = [1, 2].map((i) => {
    const tensor = constants.get(node.input[i] ?? '');
    return tensor && floatsOf(tensor)[0];
  });
  return low === 0 && high !== undefined && high > 0 ? high : undefined;
}

function weightsOf(node: NodeProto, constants: ReadonlyMap<string, TensorProto>): TensorProto {
  return constants.get(node.input[1] as string) as TensorProto;
}

function outputsOf(node: NodeProto, constants: ReadonlyMap<string, TensorProto>): number {
  return Number(weightsOf(node, constants).dims[0]);
}

function inputsOf(node: NodeProto, constants: ReadonlyMap<string, TensorProto>): number {
  return Number(weightsOf(node, constants).dims[1]) * groupsOf(node);
}

function groupsOf(node: NodeProto): number {
  return Number(node.attribute.find(({ name }) => name === 'group')?.i ?? 1n);
}

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
