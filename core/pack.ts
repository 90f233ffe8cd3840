import { crc32 } from '@node-rs/crc32';
import { z } from 'zod';
import { crc32Appender } from './crc32-combine.ts';
import { messageOf, SluiceError } from './error.ts';
import { hexWord } from './hex-word.ts';
import { ImageRef } from './image-ref.ts';
import { Refusal } from './refusal.ts';
import { decodeSafetensors, encodeSafetensorsHeader } from './safetensors.ts';
import { UsageRecord } from './usage.ts';

/** One decoded image of a pack. Items lie in the tensor in this order. */
export const PackItem = z.strictObject({
  /** Place in the range, from 0. */
  index: z.int().min(0),
  ref: ImageRef,
  /** Size of the upright source image. */
  widthPx: z.int().min(1),
  heightPx: z.int().min(1),
  format: z.string(),
  /**
   * CRC-32 of the item's row in the tensor, and CRC-32 of the source's size and the perceptual hash, 8 hex digits each. Different for
   * different pixels only where something of the difference is left once they are scaled; equal for equal pixels unless the decoder shrank one
   * of the two (a JPEG).
   */
  contentHash: z.string().regex(/^[0-9a-f]{16}$/),
  /** 64-bit DCT hash as 16 hex digits; null for a picture too flat to have one. */
  perceptualHash: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .nullable(),
  preprocessMs: z.number().min(0),
});
export type PackItem = z.infer<typeof PackItem>;

/** One image of the range that could not be decoded, and why. */
export const RefusedItem = z.strictObject({
  index: z.int().min(0),
  ref: ImageRef,
  refusal: Refusal,
  preprocessMs: z.number().min(0),
});
export type RefusedItem = z.infer<typeof RefusedItem>;

/** What a pack says of itself. Every ref of the range is in `items` or in `refused`, exactly once. */
export const PackHeader = z.strictObject({
  schema: z.literal(1),
  /** `job/stage/shard-range`: the same for the same range, always. */
  pack: z.string(),
  preprocessHash: z.string(),
  decoderVersion: z.string(),
  items: z.array(PackItem),
  refused: z.array(RefusedItem),
  /** What it took to make it, but for storing it. */
  usage: z.array(UsageRecord).optional(),
});
export type PackHeader = z.infer<typeof PackHeader>;

/** A decoded pack: uint8 RGB `images` of shape `[N, heightPx, widthPx, 3]`, row-major, N = `header.items.length`. */
export interface Pack {
  readonly header: PackHeader;
  readonly heightPx: number;
  readonly widthPx: number;
  readonly images: Buffer;
  /** CRC-32 of each image's row, where they are known: nobody needs to read the pixels again for the pack's checksum. */
  readonly rowChecksums?: readonly number[];
}

const TENSOR = 'images';
const NO_CHECKSUM = '0'.repeat(8);
/** The checksum is the first member of the header, so its place in the file never changes. */
const CHECKSUM_AT = 8 + Buffer.byteLength('{"__metadata__":{"checksum":"');

/**
 * The pack as a safetensors file. Its checksum is the CRC-32 of the whole file with the checksum's own 8 digits as
 * zeros, so it covers the header as well as the pixels. It is there against accidents, not against forgery.
 *
 * @returns the file in two pieces, header and pixels, so that the pixels are not copied.
 */
export function encodePack(pack: Pack): { header: Buffer; body: Buffer } {
  const header = encodeSafetensorsHeader({
    tensorName: TENSOR,
    shape: [pack.header.items.length, pack.heightPx, pack.widthPx, 3],
    metadata: { checksum: NO_CHECKSUM, sluice: JSON.stringify(pack.header) },
  });
  const checksum = hexWord(checksumOf(header, pack));
  header.write(checksum, CHECKSUM_AT, 'latin1');
  return { header, body: pack.images };
}

function checksumOf(header: Buffer, { images, heightPx, widthPx, rowChecksums }: Pack): number {
  const ofHeader = crc32(header);
  if (rowChecksums === undefined) return crc32(images, ofHeader);
  return rowChecksums.reduce(crc32Appender(heightPx * widthPx * 3), ofHeader);
}

/**
 * Reads a pack; `images` is a view into `file`.
 *
 * @param checksum of the file, where it was computed while the file was read.
 * @throws SluiceError `pack-damaged` when a single bit of the file is not as it was written.
 */
export function decodePack(file: Buffer, checksum = PackChecksum.of(file).hex): Pack {
  const { tensorName, shape, metadata, tensor } = decodeSafetensors(file);
  const [count, heightPx, widthPx, channels] = shape;
  if (tensorName !== TENSOR || shape.length !== 4 || channels !== 3) {
    throw damaged(`expected tensor "${TENSOR}" [N, H, W, 3], got "${tensorName}" [${shape}]`);
  }
  const expected = metadata['checksum'];
  if (expected !== checksum) throw damaged('its checksum does not match its bytes');
  const header = parseHeader(metadata['sluice']);
  if (header.items.length !== count)
    throw damaged(`it holds ${count} images and describes ${header.items.length}`);
  return { header, heightPx: heightPx as number, widthPx: widthPx as number, images: tensor };
}

/**
 * The checksum of a pack's file, from the file's pieces in turn. Not by Node 20's own CRC-32: it came to 3 to 4 GB/s on a core that
 * did 10 with this one.
 */
export class PackChecksum {
  #crc = 0;
  #at = 0;

  static of(file: Uint8Array): PackChecksum {
    const checksum = new PackChecksum();
    checksum.add(file);
    return checksum;
  }

  add(piece: Uint8Array): void {
    const from = this.#at;
    this.#at += piece.length;
    const digitsEnd = CHECKSUM_AT + NO_CHECKSUM.length;
    if (from >= digitsEnd || this.#at <= CHECKSUM_AT) {
      this.#crc = crc32(piece, this.#crc);
      return;
    }
    // The checksum's own digits count as zeros, however the pieces were cut.
    const zeroed = Buffer.from(piece.subarray(0, digitsEnd - from));
    const start = Math.max(0, CHECKSUM_AT - from);
    zeroed.fill(NO_CHECKSUM[0] as string, start);
    this.#crc = crc32(piece.subarray(zeroed.length), crc32(zeroed, this.#crc));
  }

  get hex(): string {
    return hexWord(this.#crc);
  }
}

function parseHeader(json: string | undefined): PackHeader {
  try {
    return PackHeader.parse(JSON.parse(json ?? 'null'));
  } catch (cause) {
    throw damaged(`its metadata is not as expected (${messageOf(cause).slice(0, 200)})`, cause);
  }
}

function damaged(what: string, cause?: unknown): SluiceError {
  return new SluiceError('pack-damaged', `damaged pack: ${what}`, { cause });
}
