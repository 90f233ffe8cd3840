import { clone, create, toBinary } from '@bufbuild/protobuf';
import type { Prepared, Reduced } from '#core/model-manifest.ts';
import {
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  TensorProto_DataType,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '#models/onnx/generated/onnx_pb.js';
import { freeBatch } from './free-batch.ts';
import { addFloats, addInts, newNode } from './graph-constants.ts';
import { freeName, readsOf } from './graph-walk.ts';
import { inspectGraph } from './inspect-graph.ts';
import { reduceHead } from './reduce-head.ts';

export interface PrepareOptions {
  readonly tensor: Omit<Prepared, 'originalSha256'>;
  readonly widthPx: number;
  readonly heightPx: number;
  /** The outputs to keep. */
  readonly outputs: readonly string[];
  /** The head of a detector that is reduced to the best class of each anchor. */
  readonly reduce?: Reduced | undefined;
  /** The length of a fixed batch dimension that is to become dynamic; `undefined` where it is, or stays as it is. */
  readonly batchToFree: number | undefined;
  /** The length of the batch dimension, where it stays fixed. */
  readonly fixedBatch: number | undefined;
}

export interface PreparedGraph {
  readonly bytes: Uint8Array;
  /** The input: uint8 RGB `[N, heightPx, widthPx, 3]`. */
  readonly input: string;
  /** The names that the kept outputs have now, in the order of `outputs`. All are float32. */
  readonly outputs: readonly string[];
}

/** Weights may stay out of the inputs from this version on. */
const IR_VERSION_WITH_FREE_INITIALIZERS = 4n;

/**
 * A model that takes packs as they are: uint8 RGB in, float32 out. The cast, the channel order, the scaling and the
 * layout become the first nodes of the graph. `model` is left as it is.
 */
export function prepareGraph(model: ModelProto, options: PrepareOptions): PreparedGraph {
  const prepared = clone(ModelProtoSchema, model);
  const graph = prepared.graph as GraphProto;
  const { tensor, widthPx, heightPx } = options;
  if (options.batchToFree !== undefined)
    freeBatch(graph, inspectGraph(model).opset, tensor.input, options.batchToFree);
  const input = freeName(graph, 'pixels');
  graph.node.unshift(...prologue(graph, input, tensor));
  graph.input = [
    valueInfo(input, TensorProto_DataType.UINT8, [options.fixedBatch ?? 'N', heightPx, widthPx, 3]),
  ];
  const outputs = options.outputs.map((name) => floatOutput(graph, name, options.batchToFree));
  graph.output = outputs;
  if (options.reduce !== undefined) reduceOutput(prepared, options.outputs, options.reduce);
  graph.node = neededNodes(graph);
  if (prepared.irVersion < IR_VERSION_WITH_FREE_INITIALIZERS)
    prepared.irVersion = IR_VERSION_WITH_FREE_INITIALIZERS;
  return {
    bytes: toBinary(ModelProtoSchema, prepared),
    input,
    outputs: graph.output.map(({ name }) => name),
  };
}

/** From uint8 RGB `[N, H, W, 3]` to what the model's own input was. */
function prologue(graph: GraphProto, input: string, tensor: PrepareOptions['tensor']): NodeProto[] {
  const { layout, channelOrder, dtype, scale, mean, std } = tensor;
  const channelAxis = layout === 'nchw' ? 1 : 3;
  const steps: ((from: string, to: string) => NodeProto)[] = [];
  // Moved about as bytes and cast afterwards: a quarter of the memory.
  if (layout === 'nchw') steps.push((from, to) => newNode('Transpose', [from], to, { perm: [0, 3, 1, 2] }));
  if (channelOrder === 'bgr') {
    const order = addInts(graph, 'pixels_bgr', [2, 1, 0]);
    steps.push((from, to) => newNode('Gather', [from, order], to, { axis: channelAxis }));
  }
  if (dtype !== 'uint8') {
    steps.push((from, to) => newNode('Cast', [from], to, { to: TensorProto_DataType.FLOAT }));
    const shape = layout === 'nchw' ? [1, 3, 1, 1] : [1, 1, 1, 3];
    // (level · scale − mean) / std as one product and one sum.
    const factors = std.map((s) => scale / s);
    const shifts = mean.map((m, i) => -m / (std[i] as number));
    if (factors.some((factor) => factor !== 1)) {
      const factor = addFloats(graph, 'pixels_factor', shape, factors);
      steps.push((from, to) => newNode('Mul', [from, factor], to));
    }
    if (shifts.some((shift) => shift !== 0)) {
      const shift = addFloats(graph, 'pixels_shift', shape, shifts);
      steps.push((from, to) => newNode('Add', [from, shift], to));
    }
    if (dtype === 'float16')
      steps.push((from, to) => newNode('Cast', [from], to, { to: TensorProto_DataType.FLOAT16 }));
  }
  if (steps.length === 0) steps.push((from, to) => newNode('Identity', [from], to));
  const between = freeName(graph, 'pixels_step');
  return steps.map((step, i) =>
    step(i === 0 ? input : `${between}_${i}`, i === steps.length - 1 ? tensor.input : `${between}_${i + 1}`),
  );
}

/** Makes an output of the graph float32, under a new name where it was not. */
export function floatOutput(
  graph: GraphProto,
  name: string,
  batchToFree: number | undefined,
): ValueInfoProto {
  const old = graph.output.find((output) => output.name === name) as ValueInfoProto;
  const type = old.type?.value.case === 'tensorType' ? old.type.value.value : undefined;
  const dims = type?.shape?.dim.map(({ value }, i) => {
    if (
      i === 0 &&
      batchToFree !== undefined &&
      value.case === 'dimValue' &&
      Number(value.value) === batchToFree
    )
      return 'N';
    // Lengths other than the batch may have been inferred for the fixed one.
    return value.case === 'dimValue' ? Number(value.value) : value.case === 'dimParam' ? value.value : '';
  });
  if (type?.elemType === TensorProto_DataType.FLOAT) return valueInfo(name, type.elemType, dims);
  const cast = freeName(graph, `${name}_float`);
  graph.node.push(newNode('Cast', [name], cast, { to: TensorProto_DataType.FLOAT }));
  return valueInfo(cast, TensorProto_DataType.FLOAT, dims);
}

/**
 * Puts the reduced head in the place of its output.
 *
 * @param originals the names that the outputs of the graph had, in their order.
 */
export function reduceOutput(model: ModelProto, originals: readonly string[], reduce: Reduced): void {
  const graph = model.graph as GraphProto;
  const at = originals.indexOf(reduce.output);
  const { opset } = inspectGraph(model);
  const name = reduceHead(graph, opset, graph.output[at]?.name as string, reduce);
  graph.output[at] = valueInfo(name, TensorProto_DataType.FLOAT, ['', '', 6]);
}

/** The nodes that the outputs need, in their order. */
function neededNodes(graph: GraphProto): NodeProto[] {
  const needed = new Set(graph.output.map(({ name }) => name));
  const kept: NodeProto[] = [];
  for (const node of graph.node.toReversed()) {
    if (!node.output.some((name) => needed.has(name))) continue;
    for (const name of readsOf(node)) needed.add(name);
    kept.push(node);
  }
  return kept.reverse();
}

export function valueInfo(
  name: string,
  elemType: TensorProto_DataType,
  dims: readonly (number | string)[] | undefined,
): ValueInfoProto {
  const dim = dims?.map((d) => ({
    value:
      typeof d === 'number'
        ? { case: 'dimValue' as const, value: BigInt(d) }
        : { case: 'dimParam' as const, value: d },
  }));
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: 'tensorType', value: { elemType, ...(dim && { shape: { dim } }) } } },
  });
}
