import {
  type InputTensor,
  piecesOf,
  type Tensor,
  type TensorData,
  type TensorDtype,
} from '#core/ports/engine.ts';

export const ARRAYS = {
  uint8: Uint8Array,
  int32: Int32Array,
  int64: BigInt64Array,
  float32: Float32Array,
} as const;

export interface RowSlice {
  readonly from: number;
  readonly to: number;
  /** How many rows the slice has: those behind its last one are zeros. */
  readonly rows: number;
}

/**
 * Some rows of a tensor as one array: as a view where they lie in one piece, else put together.
 *
 * @param stage memory to put them together in; where there is none, fresh memory.
 */
export function sliceOf(
  input: InputTensor,
  { from, to, rows }: RowSlice,
  stage?: (bytes: number, lies: readonly TensorData[]) => Uint8Array<ArrayBuffer> | undefined,
): Tensor {
  const {
    dtype,
    shape: [all = 0, ...rest],
  } = input;
  const pieces = piecesOf(input);
  const perRow = pieces.reduce((sum, piece) => sum + piece.length, 0) / Math.max(1, all);
  const length = rows * perRow;
  const shape = [rows, ...rest];
  const parts = partsOf(pieces, from * perRow, to * perRow);
  const [first] = parts;
  const staged = stage?.(length * ARRAYS[dtype].BYTES_PER_ELEMENT, parts);
  if (staged === undefined && parts.length === 1 && first?.length === length)
    return { dtype, shape, data: first };
  return { dtype, shape, data: joined(parts, newArray(dtype, length, staged)) };
}

/** What of some pieces, one after the other, lies between two places. */
function partsOf(pieces: readonly TensorData[], from: number, to: number): TensorData[] {
  let start = 0;
  return pieces.flatMap((piece) => {
    const [begin, end] = [Math.max(from, start), Math.min(to, start + piece.length)];
    const part = end > begin ? [piece.subarray(begin - start, end - start)] : [];
    start += piece.length;
    return part;
  });
}

function joined<T extends TensorData>(parts: readonly TensorData[], into: T): T {
  let at = 0;
  for (const part of parts) {
    into.set(part as never, at);
    at += part.length;
  }
  if (at < into.length) into.fill(0 as never, at);
  return into;
}

function newArray(dtype: TensorDtype, length: number, memory?: Uint8Array<ArrayBuffer>): TensorData {
  const NewArray = ARRAYS[dtype];
  return memory === undefined ? new NewArray(length) : new NewArray(memory.buffer, memory.byteOffset, length);
}
