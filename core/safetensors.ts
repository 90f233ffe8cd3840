import { SluiceError } from './error.ts';

/**
 * The safetensors file format for exactly one uint8 tensor: 8 bytes of little-endian header length, a JSON
 * header padded with spaces to a multiple of 8, then the tensor's bytes.
 * Source: https://github.com/huggingface/safetensors#format
 */
export interface SafetensorsHeader {
  readonly tensorName: string;
  readonly shape: readonly number[];
  readonly metadata: Readonly<Record<string, string>>;
}

const LENGTH_BYTES = 8;
/** The format's own limit is 100 MB; a pack's header is a few hundred kilobytes at the most. */
const MAX_HEADER_BYTES = 16 * 1024 * 1024;

/** The file's first bytes, up to where the tensor's bytes begin. Members of `metadata` keep their order. */
export function encodeSafetensorsHeader(header: SafetensorsHeader): Buffer {
  const tensorBytes = header.shape.reduce((product, side) => product * side, 1);
  const json = Buffer.from(
    JSON.stringify({
      __metadata__: header.metadata,
      [header.tensorName]: { dtype: 'U8', shape: header.shape, data_offsets: [0, tensorBytes] },
    }),
  );
  const paddedBytes = Math.ceil(json.length / 8) * 8;
  const file = Buffer.alloc(LENGTH_BYTES + paddedBytes, ' ');
  file.writeBigUInt64LE(BigInt(paddedBytes), 0);
  json.copy(file, LENGTH_BYTES);
  return file;
}

/**
 * Reads a file with exactly one uint8 tensor. The tensor is a view into `file`, nothing is copied.
 *
 * @throws SluiceError `pack-damaged` where the file is not such a file, or is cut short or too long.
 */
export function decodeSafetensors(file: Buffer): SafetensorsHeader & { readonly tensor: Buffer } {
  if (file.length < LENGTH_BYTES)
    throw damaged(`expected at least ${LENGTH_BYTES} bytes, got ${file.length}`);
  const headerBytes = Number(file.readBigUInt64LE(0));
  if (headerBytes > MAX_HEADER_BYTES || LENGTH_BYTES + headerBytes > file.length) {
    throw damaged(`the header claims ${headerBytes} bytes, the file has ${file.length}`);
  }
  const body = file.subarray(LENGTH_BYTES + headerBytes);
  const { __metadata__: metadata = {}, ...tensors } = parseHeader(file, headerBytes);
  const names = Object.keys(tensors);
  const tensorName = names[0];
  if (tensorName === undefined || names.length !== 1)
    throw damaged(`expected one tensor, got ${names.length}`);
  const { dtype, shape, data_offsets: offsets } = tensors[tensorName] as Record<string, unknown>;
  if (dtype !== 'U8') throw damaged(`expected dtype U8, got ${String(dtype)}`);
  if (!isNaturals(shape) || !isNaturals(offsets) || offsets.length !== 2)
    throw damaged('the tensor has no shape');
  const tensorBytes = shape.reduce((product, side) => product * side, 1);
  if (offsets[0] !== 0 || offsets[1] !== tensorBytes || body.length !== tensorBytes) {
    throw damaged(`shape [${shape}] needs ${tensorBytes} bytes, the file holds ${body.length}`);
  }
  return { tensorName, shape, metadata: metadata as Record<string, string>, tensor: body };
}

function parseHeader(file: Buffer, headerBytes: number): Record<string, unknown> {
  try {
    const header: unknown = JSON.parse(file.toString('utf8', LENGTH_BYTES, LENGTH_BYTES + headerBytes));
    if (header !== null && typeof header === 'object') return header as Record<string, unknown>;
  } catch (cause) {
    throw damaged('the header is not JSON', cause);
  }
  throw damaged('the header is not a JSON object');
}

function isNaturals(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

function damaged(what: string, cause?: unknown): SluiceError {
  return new SluiceError('pack-damaged', `not a readable safetensors pack: ${what}`, { cause });
}
