import { create, toBinary } from '@bufbuild/protobuf';
import type { AttributeProto, NodeProto, TensorProto, ValueInfoProto } from './generated/onnx_pb.js';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProto_DataType,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from './generated/onnx_pb.js';

/** IR version 8 came with opset 17; everything that reads one reads the other. */
const IR_VERSION = 8n;

const DATA_TYPES = {
  bool: TensorProto_DataType.BOOL,
  uint8: TensorProto_DataType.UINT8,
  int32: TensorProto_DataType.INT32,
  int64: TensorProto_DataType.INT64,
  float32: TensorProto_DataType.FLOAT,
  float16: TensorProto_DataType.FLOAT16,
} as const;

export type Dtype = keyof typeof DATA_TYPES;

/** JavaScript has no half floats: cast a float32 constant. */
type ConstantDtype = Exclude<Dtype, 'float16'>;

/** A value in the graph: an input, a constant or the result of a node. It is its name in the file. */
export type Value = string & { readonly __value: unique symbol };

/** Integers become INT, lists of integers INTS, and `{ float }` FLOAT: JavaScript cannot tell 1 from 1.0. */
export type Attribute = number | readonly number[] | string | { readonly float: number };

/** A dimension: a length in elements, or the name of a dynamic dimension. */
export type Dimension = number | string;

/**
 * Writes an ONNX graph node by node. Equal calls in equal order give equal bytes.
 *
 * @example
 * const g = new GraphBuilder('double', 17);
 * const x = g.input('x', 'float32', ['N', 3]);
 * g.output('y', 'float32', ['N', 3], g.node('Add', [x, x]));
 * const bytes = g.toBytes();
 */
export class GraphBuilder {
  readonly #name: string;
  readonly #opset: number;
  readonly #nodes: NodeProto[] = [];
  readonly #initializers = new Map<string, TensorProto>();
  readonly #inputs: ValueInfoProto[] = [];
  readonly #outputs: ValueInfoProto[] = [];

  constructor(name: string, opset: number) {
    this.#name = name;
    this.#opset = opset;
  }

  input(name: string, dtype: Dtype, shape: readonly Dimension[]): Value {
    this.#inputs.push(valueInfo(name, dtype, shape));
    return name as Value;
  }

  /** Names a value as an output of the graph. */
  output(name: string, dtype: Dtype, shape: readonly Dimension[], value: Value): void {
    this.#nodes.push(nodeProto('Identity', [value], [name], {}));
    this.#outputs.push(valueInfo(name, dtype, shape));
  }

  /** A constant tensor, row-major. A constant that is already there is used again. */
  constant(dtype: ConstantDtype, shape: readonly number[], values: readonly number[]): Value {
    const rawData = rawDataOf(dtype, values);
    const key = `${dtype}[${shape.join()}]${Buffer.from(rawData).toString('base64')}`;
    const known = this.#initializers.get(key);
    if (known) return known.name as Value;
    const name = `const_${this.#initializers.size}`;
    this.#initializers.set(
      key,
      create(TensorProtoSchema, { name, dataType: DATA_TYPES[dtype], dims: shape.map(BigInt), rawData }),
    );
    return name as Value;
  }

  float(value: number): Value {
    return this.constant('float32', [], [value]);
  }

  /** A list of int64, as shapes, axes and slice bounds are given. */
  ints(...values: number[]): Value {
    return this.constant('int64', [values.length], values);
  }

  /** One node with one result. An `undefined` input is an optional one left out. */
  node(
    opType: string,
    inputs: readonly (Value | undefined)[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): Value {
    return this.nodes(opType, inputs, 1, attributes)[0]!;
  }

  /** One node with several results. */
  nodes(
    opType: string,
    inputs: readonly (Value | undefined)[],
    resultCount: number,
    attributes: Readonly<Record<string, Attribute>> = {},
  ): Value[] {
    const name = `${opType}_${this.#nodes.length}`;
    const results = Array.from({ length: resultCount }, (_, i) => (i === 0 ? name : `${name}_${i}`));
    this.#nodes.push(
      nodeProto(
        opType,
        inputs.map((input) => input ?? ''),
        results,
        attributes,
      ),
    );
    return results as Value[];
  }

  cast(value: Value, dtype: Dtype): Value {
    return this.node('Cast', [value], { to: DATA_TYPES[dtype] });
  }

  /** The model as the bytes of an .onnx file. */
  toBytes(): Uint8Array {
    return toBinary(
      ModelProtoSchema,
      create(ModelProtoSchema, {
        irVersion: IR_VERSION,
        producerName: 'sluice',
        opsetImport: [{ domain: '', version: BigInt(this.#opset) }],
        graph: create(GraphProtoSchema, {
          name: this.#name,
          node: this.#nodes,
          initializer: [...this.#initializers.values()],
          input: this.#inputs,
          output: this.#outputs,
        }),
      }),
    );
  }
}

function nodeProto(
  opType: string,
  input: string[],
  output: string[],
  attributes: Readonly<Record<string, Attribute>>,
): NodeProto {
  return create(NodeProtoSchema, {
    opType,
    name: output[0] ?? '',
    input,
    output,
    attribute: Object.entries(attributes).map(([name, value]) => attributeProto(name, value)),
  });
}

function attributeProto(name: string, value: Attribute): AttributeProto {
  if (typeof value === 'number') {
    return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) });
  }
  if (typeof value === 'string') {
    const s = new TextEncoder().encode(value);
    return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.STRING, s });
  }
  if ('float' in value) {
    return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.FLOAT, f: value.float });
  }
  const ints = value.map(BigInt);
  return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INTS, ints });
}

function valueInfo(name: string, dtype: Dtype, shape: readonly Dimension[]): ValueInfoProto {
  const dim = shape.map((d) => ({
    value:
      typeof d === 'number'
        ? { case: 'dimValue' as const, value: BigInt(d) }
        : { case: 'dimParam' as const, value: d },
  }));
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: 'tensorType', value: { elemType: DATA_TYPES[dtype], shape: { dim } } } },
  });
}

/** Little-endian, as ONNX wants it; so is every platform that Node runs on here. */
function rawDataOf(dtype: ConstantDtype, values: readonly number[]): Uint8Array {
  switch (dtype) {
    case 'bool':
    case 'uint8':
      return Uint8Array.from(values);
    case 'int32':
      return new Uint8Array(Int32Array.from(values).buffer);
    case 'int64':
      return new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    case 'float32':
      return new Uint8Array(Float32Array.from(values).buffer);
  }
}
