import { constantsOf } from '#models/import/graph-constants.ts';
import { readsOf } from '#models/import/graph-walk.ts';
import {
  type GraphProto,
  type NodeProto,
  type TensorProto,
  TensorProto_DataType,
} from '#models/onnx/generated/onnx_pb.js';
import { limitsOf } from './activation-limits.ts';

/** Values whose channels can be scaled together, and the convolutions that give and take them. */
export interface ChannelGroup {
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

function isScalable(node: NodeProto, constants: ReadonlyMap<string, TensorProto>): boolean {
  if (node.opType !== 'Conv' || constants.has(node.input[0] as string)) return false;
  const bias = node.input[2] ?? '';
  return [node.input[1] as string, ...(bias === '' ? [] : [bias])].every(
    (name) => constants.get(name)?.dataType === TensorProto_DataType.FLOAT,
  );
}

/** The upper limit of a Clip from zero on; `undefined` for any other. */
function clipLimit(node: NodeProto, constants: ReadonlyMap<string, TensorProto>): number | undefined {
  const limits = limitsOf(node, constants);
  return limits?.low === 0 && limits.high > 0 && limits.high < Infinity ? limits.high : undefined;
}

/** The constant weights of a convolution of a group. */
export function weightsOf(node: NodeProto, constants: ReadonlyMap<string, TensorProto>): TensorProto {
  return constants.get(node.input[1] as string) as TensorProto;
}

function outputsOf(node: NodeProto, constants: ReadonlyMap<string, TensorProto>): number {
  return Number(weightsOf(node, constants).dims[0]);
}

function inputsOf(node: NodeProto, constants: ReadonlyMap<string, TensorProto>): number {
  return Number(weightsOf(node, constants).dims[1]) * groupsOf(node);
}

export function groupsOf(node: NodeProto): number {
  return Number(node.attribute.find(({ name }) => name === 'group')?.i ?? 1n);
}
