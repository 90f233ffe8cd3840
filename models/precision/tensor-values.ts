import { SluiceError } from '#core/error.ts';
import { type TensorProto, TensorProto_DataType } from '#models/onnx/generated/onnx_pb.js';

/** The numbers of a float32, int8, uint8 or int32 tensor, row-major. @throws SluiceError `model-invalid` for another type. */
export function floatsOf({ name, dataType, rawData, floatData, int32Data }: TensorProto): Float32Array {
  // Views need an aligned start, which a piece of a file does not have.
  const raw = (): ArrayBuffer => Uint8Array.from(rawData).buffer;
  const isRaw = rawData.length > 0;
  switch (dataType) {
    case TensorProto_DataType.FLOAT:
      return isRaw ? new Float32Array(raw()) : Float32Array.from(floatData);
    case TensorProto_DataType.UINT8:
      return Float32Array.from(isRaw ? rawData : int32Data);
    case TensorProto_DataType.INT8:
      return Float32Array.from(isRaw ? new Int8Array(raw()) : int32Data);
    case TensorProto_DataType.INT32:
      return Float32Array.from(isRaw ? new Int32Array(raw()) : int32Data);
    default:
      throw new SluiceError(
        'model-invalid',
        `the tensor "${name}" has the type ${TensorProto_DataType[dataType]}: expected float32, int8, uint8 or int32`,
      );
  }
}
