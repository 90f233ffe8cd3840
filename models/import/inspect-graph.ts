import { SluiceError } from '#core/error.ts';
import {
  type GraphProto,
  type ModelProto,
  TensorProto_DataType,
  type ValueInfoProto,
} from '#models/onnx/generated/onnx_pb.js';

/** A length, or the name of a dynamic dimension ("" where it has none). */
export type Dimension = number | string;

export interface GraphValue {
  readonly name: string;
  /** As in onnx.proto, in lower case: "float", "float16", "uint8" … */
  readonly dtype: string;
  /** `undefined` where the graph does not tell even the rank. */
  readonly dims: readonly Dimension[] | undefined;
}

export interface GraphFacts {
  readonly opset: number;
  readonly producer: string;
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly (GraphValue & { readonly activation: 'softmax' | 'sigmoid' | 'none' })[];
  readonly metadata: ReadonlyMap<string, string>;
}

/** What a graph says of itself. */
export function inspectGraph(model: ModelProto): GraphFacts {
  const graph = model.graph as GraphProto;
  // Up to IR version 3 the weights are listed among the inputs.
  const weights = new Set(graph.initializer.map(({ name }) => name));
  const opset = model.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx');
  return {
    opset: Number(opset?.version ?? 1),
    producer: `${model.producerName} ${model.producerVersion}`.trim(),
    inputs: graph.input.filter(({ name }) => !weights.has(name)).map(graphValue),
    outputs: graph.output.map((output) => ({
      ...graphValue(output),
      activation: activationOf(output.name, graph),
    })),
    metadata: new Map(model.metadataProps.map(({ key, value }) => [key, value])),
  };
}

/** A shape for people: "float [N, 3, 224, 224]". */
export function describeValue({ name, dtype, dims }: GraphValue): string {
  return `"${name}" ${dtype} ${dims === undefined ? 'of unknown shape' : `[${dims.map((dim) => dim || '?').join(', ')}]`}`;
}

function graphValue({ name, type }: ValueInfoProto): GraphValue {
  if (type?.value.case !== 'tensorType')
    return { name, dtype: type?.value.case ?? 'unknown', dims: undefined };
  const { elemType, shape } = type.value.value;
  return {
    name,
    dtype: (TensorProto_DataType[elemType] ?? String(elemType)).toLowerCase(),
    dims: shape?.dim.map(({ value }) =>
      value.case === 'dimValue' ? Number(value.value) : value.case === 'dimParam' ? value.value : '',
    ),
  };
}

/** Operators that only move values about or round them. */
const MOVES = new Set([
  'Identity',
  'Cast',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Transpose',
  'Concat',
]);

/** The function that made the values of an output into what they are. */
function activationOf(output: string, graph: GraphProto): 'softmax' | 'sigmoid' | 'none' {
  const producers = new Map(graph.node.flatMap((node) => node.output.map((name) => [name, node] as const)));
  let name = output;
  // A graph has no cycles; the bound is for those that are no graph.
  for (let steps = 0; steps < graph.node.length; steps++) {
    const node = producers.get(name);
    if (node?.opType === 'Softmax') return 'softmax';
    if (node?.opType === 'Sigmoid') return 'sigmoid';
    if (node === undefined || !MOVES.has(node.opType)) return 'none';
    name = node.input[0] as string;
  }
  return 'none';
}

/** How the image input of a model is laid out; height and width are undefined where they are dynamic. */
export interface ImageInput {
  readonly name: string;
  readonly dtype: 'float32' | 'float16' | 'uint8';
  readonly layout: 'nchw' | 'nhwc' | undefined;
  /** The fixed length of the batch dimension, if it is fixed. */
  readonly fixedBatch: number | undefined;
  readonly sidesOf: (layout: 'nchw' | 'nhwc') => {
    readonly heightPx: number | undefined;
    readonly widthPx: number | undefined;
  };
}

const DTYPES = { float: 'float32', float16: 'float16', uint8: 'uint8' } as const;

/**
 * The one image input of a model.
 *
 * @throws SluiceError `model-invalid` where there is not exactly one input, or it is no batch of colour images.
 */
export function imageInput(facts: GraphFacts): ImageInput {
  const [input, ...others] = facts.inputs;
  if (input === undefined || others.length > 0) {
    const got = facts.inputs.map(describeValue).join(', ') || 'none';
    invalid(
      `expected a model with one input, the images; it has ${facts.inputs.length}: ${got}. Export only the image part`,
    );
  }
  const { dims } = input;
  const dtype = DTYPES[input.dtype as keyof typeof DTYPES];
  if (dtype === undefined)
    invalid(`expected an image input of float32, float16 or uint8, got ${describeValue(input)}`);
  if (dims?.length !== 4) {
    invalid(
      `expected an image input [N, 3, height, width] or [N, height, width, 3], got ${describeValue(input)}: export the model with a batch dimension`,
    );
  }
  const [batch, second, , last] = dims as [Dimension, Dimension, Dimension, Dimension];
  const layout = layoutOf(second, last);
  if (layout === 'neither')
    invalid(
      `expected an image input with 3 channels, got ${describeValue(input)}: only colour images are fed`,
    );
  const side = (dim: Dimension | undefined): number | undefined =>
    typeof dim === 'number' && dim > 0 ? dim : undefined;
  return {
    name: input.name,
    dtype,
    layout,
    fixedBatch: side(batch),
    sidesOf: (known) =>
      known === 'nchw'
        ? { heightPx: side(dims[2]), widthPx: side(dims[3]) }
        : { heightPx: side(dims[1]), widthPx: side(dims[2]) },
  };
}

/** By the axis of length 3, or by the name of a dynamic one; `undefined` where both or none may be it. */
function layoutOf(second: Dimension, last: Dimension): 'nchw' | 'nhwc' | 'neither' | undefined {
  const may = (dim: Dimension): boolean => dim === 3 || typeof dim === 'string';
  if (!may(second) && !may(last)) return 'neither';
  if (second === 3 && last !== 3) return 'nchw';
  if (last === 3 && second !== 3) return 'nhwc';
  if (!may(last)) return 'nchw';
  if (!may(second)) return 'nhwc';
  const named = (dim: Dimension): boolean => typeof dim === 'string' && /^(c|.*channels?)$/i.test(dim);
  if (named(second) !== named(last)) return named(second) ? 'nchw' : 'nhwc';
  return undefined;
}

function invalid(message: string): never {
  throw new SluiceError('model-invalid', message);
}
