import { create } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type GraphProto,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
} from '#models/onnx/generated/onnx_pb.js';
import { freeName } from './graph-walk.ts';

/** The tensors that the graph itself holds, by the name of the value: initializers and results of Constant nodes. */
export function constantsOf(graph: GraphProto): ReadonlyMap<string, TensorProto> {
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  for (const { opType, attribute, output } of graph.node) {
    const tensor = opType === 'Constant' ? attribute.find(({ name }) => name === 'value')?.t : undefined;
    if (tensor !== undefined) constants.set(output[0] as string, tensor);
  }
  return constants;
}

/** The values of an int64 tensor; `undefined` for any other. */
export function int64Values(tensor: TensorProto | undefined): number[] | undefined {
  if (tensor?.dataType !== TensorProto_DataType.INT64) return undefined;
  if (tensor.rawData.length === 0) return tensor.int64Data.map(Number);
  const view = new DataView(tensor.rawData.buffer, tensor.rawData.byteOffset, tensor.rawData.length);
  return Array.from({ length: tensor.rawData.length / 8 }, (_, i) => Number(view.getBigInt64(8 * i, true)));
}

/** Adds an int64 list to the graph. @returns its name. */
export function addInts(graph: GraphProto, wanted: string, values: readonly number[]): string {
  const rawData = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
  return addConstant(graph, wanted, TensorProto_DataType.INT64, [values.length], rawData);
}

/** Adds float32 values of this shape to the graph. @returns their name. */
export function addFloats(
  graph: GraphProto,
  wanted: string,
  shape: readonly number[],
  values: readonly number[],
): string {
  const rawData = new Uint8Array(Float32Array.from(values).buffer);
  return addConstant(graph, wanted, TensorProto_DataType.FLOAT, shape, rawData);
}

function addConstant(
  graph: GraphProto,
  wanted: string,
  dataType: TensorProto_DataType,
  shape: readonly number[],
  rawData: Uint8Array,
): string {
  const name = freeName(graph, wanted);
  graph.initializer.push(create(TensorProtoSchema, { name, dataType, dims: shape.map(BigInt), rawData }));
  return name;
}

/** A node of the standard operators with integer attributes; a list of them becomes INTS. */
export function newNode(
  opType: string,
  input: string[],
  output: string,
  attributes: Readonly<Record<string, number | readonly number[]>> = {},
): NodeProto {
  const attribute = Object.entries(attributes).map(
    ([name, value]): AttributeProto =>
      typeof value === 'number'
        ? create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) })
        : create(AttributeProtoSchema, {
            name,
            type: AttributeProto_AttributeType.INTS,
            ints: value.map(BigInt),
          }),
  );
  return create(NodeProtoSchema, { opType, name: output, input, output: [output], attribute });
}
