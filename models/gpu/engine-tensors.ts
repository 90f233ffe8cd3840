import type { TensorInfo } from '#core/ports/engine.ts';
import {
  type GraphProto,
  TensorProto_DataType,
  type ValueInfoProto,
} from '#models/onnx/generated/onnx_pb.js';

const DTYPES: Readonly<Record<number, string>> = {
  [TensorProto_DataType.UINT8]: 'uint8',
  [TensorProto_DataType.INT8]: 'int8',
  [TensorProto_DataType.INT32]: 'int32',
  [TensorProto_DataType.INT64]: 'int64',
  [TensorProto_DataType.FLOAT16]: 'float16',
  [TensorProto_DataType.FLOAT]: 'float32',
};

/** The inputs and outputs of a network, as its engine has them; `null` is a dimension that is not fixed. */
export function engineTensors(graph: GraphProto): {
  inputs: readonly EngineTensor[];
  outputs: readonly EngineTensor[];
} {
  const weights = new Set(graph.initializer.map(({ name }) => name));
  return {
    inputs: graph.input.filter(({ name }) => !weights.has(name)).map(tensorInfo),
    outputs: graph.output.map(tensorInfo),
  };
}

type EngineTensor = TensorInfo & { readonly shape: (number | null)[] };

function tensorInfo({ name, type }: ValueInfoProto): EngineTensor {
  const tensor = type?.value.case === 'tensorType' ? type.value.value : undefined;
  const dims = tensor?.shape?.dim ?? [];
  return {
    name,
    dtype: DTYPES[tensor?.elemType ?? 0] ?? 'unknown',
    shape: dims.map(({ value }) =>
      value.case === 'dimValue' && value.value > 0n ? Number(value.value) : null,
    ),
  };
}
