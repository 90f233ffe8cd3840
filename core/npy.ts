import { SluiceError } from './error.ts';

/** An array as NumPy saves it, its numbers as float32 whatever they were. */
export interface NpyArray {
  readonly dtype: 'uint8' | 'float';
  readonly shape: readonly number[];
  readonly data: Uint8Array | Float32Array;
}

const MAGIC = '\x93NUMPY';

/**
 * Reads a .npy file: versions 1 to 3, row by row, little-endian; uint8, float16, float32, float64, int32 and int64.
 *
 * Source: NumPy, numpy/lib/format.py.
 *
 * @throws SluiceError `config-invalid` where it is another kind of file.
 */
export function parseNpy(bytes: Buffer, file: string): NpyArray {
  if (bytes.toString('latin1', 0, 6) !== MAGIC)
    throw invalid(`"${file}" is no .npy file: save one array with numpy.save`);
  const wide = (bytes[6] as number) > 1;
  const headerAt = wide ? 12 : 10;
  const dataAt = headerAt + (wide ? bytes.readUInt32LE(8) : bytes.readUInt16LE(8));
  const header = bytes.toString('latin1', headerAt, dataAt);
  const descr = /'descr':\s*'([^']+)'/.exec(header)?.[1] ?? '';
  if (/'fortran_order':\s*True/.test(header))
    throw invalid(`"${file}" is stored column by column: save numpy.ascontiguousarray(array)`);
  const shape = (/'shape':\s*\(([^)]*)\)/.exec(header)?.[1] ?? '')
    .split(',')
    .filter((part) => part.trim() !== '')
    .map(Number);
  const count = shape.reduce((a, b) => a * b, 1);
  const reader = READERS[descr];
  if (reader === undefined)
    throw invalid(`"${file}" holds "${descr}": expected uint8, float16, float32, float64, int32 or int64`);
  const [width, read] = reader;
  if (bytes.length < dataAt + count * width)
    throw invalid(`"${file}" ends before its ${count} values do: it was cut off`);
  if (descr === '|u1') return { dtype: 'uint8', shape, data: bytes.subarray(dataAt, dataAt + count) };
  const view = new DataView(bytes.buffer, bytes.byteOffset + dataAt);
  return {
    dtype: 'float',
    shape,
    data: Float32Array.from({ length: count }, (_, i) => read(view, i * width)),
  };
}

/** A uint8 array as the bytes of a .npy file. */
export function encodeNpy(shape: readonly number[], data: Uint8Array): Buffer {
  const text = `{'descr': '|u1', 'fortran_order': False, 'shape': (${shape.join(', ')}${shape.length === 1 ? ',' : ''}), }`;
  // The data begins at a multiple of 64 bytes.
  const padded = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`;
  const head = Buffer.from(`${MAGIC}\x01\x00\x00\x00${padded}`, 'latin1');
  head.writeUInt16LE(padded.length, 8);
  return Buffer.concat([head, data]);
}

const READERS: Readonly<
  Record<string, readonly [bytes: number, read: (view: DataView, at: number) => number]>
> = {
  '|u1': [1, (view, at) => view.getUint8(at)],
  '<f2': [2, (view, at) => halfToNumber(view.getUint16(at, true))],
  '<f4': [4, (view, at) => view.getFloat32(at, true)],
  '<f8': [8, (view, at) => view.getFloat64(at, true)],
  '<i4': [4, (view, at) => view.getInt32(at, true)],
  '<i8': [8, (view, at) => Number(view.getBigInt64(at, true))],
};

/** IEEE 754 binary16. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function invalid(message: string): SluiceError {
  return new SluiceError('config-invalid', message);
}
