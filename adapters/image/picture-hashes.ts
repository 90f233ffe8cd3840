import { createHash } from 'node:crypto';
import { crc32 } from '@node-rs/crc32';
import type { Size } from '#core/geometry.ts';
import { hexWord } from '#core/hex-word.ts';
import type { Lines } from '#core/image/kernel-memory.ts';
import { perceptualHash } from '#core/image/perceptual-hash.ts';

export interface PictureHashes {
  /** CRC-32 of the row: a pack's checksum is put together from those of its rows. */
  readonly rowChecksum: number;
  /** 16 hex digits: equal for equal rows from pictures of equal size. It says who may have equal pixels. */
  readonly contentHash: string;
  /** 16 hex digits; null for a picture too flat to have one. */
  readonly perceptualHash: string | null;
}

/**
 * The hashes of a picture. One pass over the row gives both its checksum and half of the content hash: CRC-32 of the row, and CRC-32 of the source's
 * size and the perceptual hash. It only says who may have equal pixels, and those are compared: it need not withstand somebody who
 * wants two to be equal.
 *
 * @param row the picture as the model sees it, cut out of `scaled`.
 */
export function hashesOf(row: Uint8Array, scaled: Lines, source: Size): PictureHashes {
  const rowChecksum = crc32(row);
  const perceptual = perceptualHash(scaled);
  const rest = crc32(`${source.widthPx}x${source.heightPx} ${perceptual}`);
  return { rowChecksum, contentHash: hexWord(rowChecksum) + hexWord(rest), perceptualHash: perceptual };
}

/** SHA-256 of a picture's size and its pixels, the first 32 hex digits. */
export function pixelHashOf(pixels: Uint8Array, size: Size): string {
  // Pictures of other sizes may have the same bytes.
  const sizeText = `${size.widthPx}x${size.heightPx}:`;
  return createHash('sha256').update(sizeText).update(pixels).digest('hex').slice(0, 32);
}
