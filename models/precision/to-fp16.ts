import { clone, create } from '@bufbuild/protobuf';
import { SluiceError } from '#core/error.ts';
import { newNode } from '#models/import/graph-constants.ts';
import { freeName } from '#models/import/graph-walk.ts';
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
} from '#models/onnx/generated/onnx_pb.js';
import { foldWeights } from './fold-weights.ts';
import { toHalf } from './half.ts';
import { floatsOf } from './tensor-values.ts';

const { FLOAT, FLOAT16 } = TensorProto_DataType;

/** Inputs that ONNX defines as float32 whatever the others are, by operator (onnx/docs/Operators.md). */
const FLOAT_INPUTS: Readonly<Record<string, readonly number[]>> = {
  Resize: [1, 2],
  Upsample: [1],
  NonMaxSuppression: [0, 1, 3, 4],
};

/** These carry their precision in scales that half floats are too coarse for, or a graph of their own. */
const NOT_CONVERTED = ['QuantizeLinear', 'DequantizeLinear', 'DynamicQuantizeLinear', 'If', 'Loop', 'Scan'];

/**
 * A model whose weights and arithmetic are float16: half the bytes, and the tensor cores of a GPU. Inputs and outputs stay
 * as they are, so packs and decoders do not notice. `model` is left as it is.
 *
 * Precision belongs in the graph, because TensorRT builds strongly typed networks from it.
 *
 * @throws SluiceError `model-invalid` where the graph holds operators that cannot be converted.
 */
export function toFp16(model: ModelProto): ModelProto {
  const converted = clone(ModelProtoSchema, model);
  const graph = converted.graph as GraphProto;
  foldWeights(graph);
  const odd = graph.node.find(({ opType }) => NOT_CONVERTED.includes(opType));
  if (odd !== undefined)
    throw new SluiceError(
      'model-invalid',
      `the model cannot be made float16: its node "${odd.name}" is ${odd.opType}; convert it where it was trained`,
    );
  const floatOnly = floatOnlyValues(graph);
  graph.initializer = graph.initializer.map((tensor) =>
    floatOnly.has(tensor.name) ? tensor : halved(tensor),
  );
  // What is said about the values in between is not true any more, and can be inferred.
  graph.valueInfo = [];
  const nodes: NodeProto[] = [];
  for (const node of graph.node) {
    nodes.push(...castInputs(graph, node, floatOnly));
    if (!node.output.some((name) => floatOnly.has(name))) halveAttributes(node);
    nodes.push(node);
  }
  graph.node = nodes;
  castEnds(graph);
  return converted;
}

/** Constants that only float32 inputs read. */
function floatOnlyValues(graph: GraphProto): ReadonlySet<string> {
  const wanted = new Set<string>();
  const others = new Set<string>();
  for (const node of graph.node)
    for (const [i, name] of node.input.entries())
      (FLOAT_INPUTS[node.opType]?.includes(i) ? wanted : others).add(name);
  const constants = new Set([
    ...graph.initializer.map(({ name }) => name),
    ...graph.node.filter(({ opType }) => opType === 'Constant').map(({ output }) => output[0] as string),
  ]);
  return new Set([...wanted].filter((name) => constants.has(name) && !others.has(name)));
}

/** Casts before the inputs of a node that stay float32. */
function castInputs(graph: GraphProto, node: NodeProto, floatOnly: ReadonlySet<string>): NodeProto[] {
  const casts: NodeProto[] = [];
  for (const i of FLOAT_INPUTS[node.opType] ?? []) {
    const name = node.input[i];
    if (name === undefined || name === '' || floatOnly.has(name)) continue;
    const cast = freeName(graph, `${name}_float`);
    casts.push(newNode('Cast', [name], cast, { to: FLOAT }));
    node.input[i] = cast;
  }
  return casts;
}

function halveAttributes(node: NodeProto): void {
  for (const attribute of node.attribute) {
    if (attribute.t !== undefined) attribute.t = halved(attribute.t);
    const namesType = node.opType === 'Cast' ? attribute.name === 'to' : attribute.name === 'dtype';
    if (namesType && attribute.i === BigInt(FLOAT)) attribute.i = BigInt(FLOAT16);
  }
  const { attribute } = node;
  const value = attribute.find(({ name }) => name === 'value_float' || name === 'value_floats');
  if (node.opType === 'Constant' && value !== undefined) node.attribute = [tensorAttribute(value)];
  // Without a value it is a float32 zero.
  if (node.opType === 'ConstantOfShape' && attribute.length === 0)
    node.attribute = [tensorAttribute(create(AttributeProtoSchema, { name: 'value', floats: [0] }), [1])];
}

function tensorAttribute({ name, f, floats }: AttributeProto, dims?: readonly number[]): AttributeProto {
  const values = name === 'value_float' ? [f] : floats;
  const shape = dims ?? (name === 'value_float' ? [] : [values.length]);
  return create(AttributeProtoSchema, {
    name: 'value',
    type: AttributeProto_AttributeType.TENSOR,
    t: create(TensorProtoSchema, {
      dataType: FLOAT16,
      dims: shape.map(BigInt),
      rawData: halves(Float32Array.from(values)),
    }),
  });
}

/** The ends of the graph stay what they were: float32 inputs are cast after them, float32 outputs before them. */
function castEnds(graph: GraphProto): void {
  const isFloat = (type: { type?: GraphProto['input'][number]['type'] }): boolean =>
    type.type?.value.case === 'tensorType' && type.type.value.value.elemType === FLOAT;
  const weights = new Set(graph.initializer.map(({ name }) => name));
  for (const input of graph.input.filter((one) => isFloat(one) && !weights.has(one.name))) {
    const half = freeName(graph, `${input.name}_half`);
    for (const node of graph.node) node.input = node.input.map((name) => (name === input.name ? half : name));
    graph.node.unshift(newNode('Cast', [input.name], half, { to: FLOAT16 }));
  }
  for (const output of graph.output.filter(isFloat)) {
    const half = freeName(graph, `${output.name}_half`);
    for (const node of graph.node) {
      node.input = node.input.map((name) => (name === output.name ? half : name));
      node.output = node.output.map((name) => (name === output.name ? half : name));
    }
    const cast = newNode('Cast', [half], output.name, { to: FLOAT });
    // The node that gave the output until now may be called like it.
    cast.name = `${output.name}_to_float`;
    graph.node.push(cast);
  }
}

function halved(tensor: TensorProto): TensorProto {
  if (tensor.dataType !== FLOAT) return tensor;
  const values = floatsOf(tensor);
  return create(TensorProtoSchema, {
    name: tensor.name,
    dims: tensor.dims,
    dataType: FLOAT16,
    rawData: halves(values),
  });
}

function halves(values: Float32Array): Uint8Array {
  return new Uint8Array(Uint16Array.from(values, toHalf).buffer);
}
