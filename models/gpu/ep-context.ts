import { create, toBinary } from '@bufbuild/protobuf';
import type { TensorInfo } from '#core/ports/engine.ts';
import { valueInfo } from '#models/import/prepare-graph.ts';
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProto_DataType,
} from '#models/onnx/generated/onnx_pb.js';

const DTYPES: Readonly<Record<string, TensorProto_DataType>> = {
  uint8: TensorProto_DataType.UINT8,
  int8: TensorProto_DataType.INT8,
  int32: TensorProto_DataType.INT32,
  int64: TensorProto_DataType.INT64,
  float16: TensorProto_DataType.FLOAT16,
  float32: TensorProto_DataType.FLOAT,
};

export interface EpContextOptions {
  /** The TensorRT engine, beside the wrapper. */
  readonly engineFile: string;
  /** Compute capability without the dot: "75" is a T4. */
  readonly architecture: string;
  /** As in the engine, by name: ONNX Runtime binds a name that the engine does not have to its first tensor. */
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
}

/**
 * An ONNX model that is one TensorRT engine: a single EPContext node, whose inputs and outputs are the engine's. It is the
 * only way to an engine from Node, where no options reach the TensorRT provider.
 *
 * Source: ONNX Runtime, "EP Context Design", and `onnx_ctx_model_helper.cc` of its TensorRT provider.
 */
export function epContextModel({ engineFile, architecture, inputs, outputs }: EpContextOptions): Uint8Array {
  const info = ({ name, dtype, shape }: TensorInfo) =>
    valueInfo(
      name,
      DTYPES[dtype] ?? TensorProto_DataType.UNDEFINED,
      shape.map((side, i) => side ?? (i === 0 ? 'N' : `${name}_${i}`)),
    );
  const node = create(NodeProtoSchema, {
    name: 'engine',
    opType: 'EPContext',
    domain: 'com.microsoft',
    input: inputs.map(({ name }) => name),
    output: outputs.map(({ name }) => name),
    attribute: [
      int('embed_mode', 0),
      text('ep_cache_context', engineFile),
      int('main_context', 1),
      text('hardware_architecture', architecture),
      text('source', 'TensorrtExecutionProvider'),
    ],
  });
  const model = create(ModelProtoSchema, {
    irVersion: 8n,
    producerName: 'sluice',
    opsetImport: [
      { domain: '', version: 17n },
      { domain: 'com.microsoft', version: 1n },
    ],
    graph: create(GraphProtoSchema, {
      name: 'engine',
      node: [node],
      input: inputs.map(info),
      output: outputs.map(info),
    }),
  });
  return toBinary(ModelProtoSchema, model);
}

function int(name: string, value: number): AttributeProto {
  return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) });
}

function text(name: string, value: string): AttributeProto {
  return create(AttributeProtoSchema, {
    name,
    type: AttributeProto_AttributeType.STRING,
    s: new TextEncoder().encode(value),
  });
}
