import { clone, toBinary } from '@bufbuild/protobuf';
import type { Prepared } from '#core/model-manifest.ts';
import { newNode } from '#models/import/graph-constants.ts';
import { freeName } from '#models/import/graph-walk.ts';
import { floatOutput, reduceOutput, valueInfo } from '#models/import/prepare-graph.ts';
import {
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  TensorProto_DataType,
} from '#models/onnx/generated/onnx_pb.js';

const DTYPES = {
  float32: TensorProto_DataType.FLOAT,
  float16: TensorProto_DataType.FLOAT16,
  uint8: TensorProto_DataType.UINT8,
} as const;

/**
 * The original model with nothing changed but that its input and outputs are float32, so that any engine here can
 * feed it. Its outputs have the names that they have in the prepared model.
 */
export function originalGraph(model: ModelProto, prepared: Prepared): { bytes: Uint8Array; input: string } {
  const original = clone(ModelProtoSchema, model);
  const graph = original.graph as GraphProto;
  const weights = new Set(graph.initializer.map(({ name }) => name));
  const input = freeName(graph, 'reference');
  graph.node.unshift(newNode('Cast', [input], prepared.input, { to: DTYPES[prepared.dtype] }));
  const others = graph.input.filter(({ name }) => name !== prepared.input && weights.has(name));
  const names = graph.output.map(({ name }) => name);
  graph.output = names.map((name) => floatOutput(graph, name, undefined));
  if (prepared.reduced !== undefined) reduceOutput(original, names, prepared.reduced);
  graph.input = [valueInfo(input, TensorProto_DataType.FLOAT, ['', '', '', '']), ...others];
  return { bytes: toBinary(ModelProtoSchema, original), input };
}
