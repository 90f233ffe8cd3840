import { ByteReader } from './byte-reader.ts';

const ORIENTATION_TAG = 0x0112;
const SHORT = 3;

/**
 * The orientation (1–8) in a TIFF-structured EXIF block, as EXIF 2.32 section 4.6.4 has it; 1 (upright) where
 * there is none, null where it is not stored by the book and only the decoder can tell what it makes of it.
 *
 * @param tiff the block from its byte-order mark on.
 */
export function exifOrientation(tiff: Uint8Array): number | null {
  const mark = new ByteReader(tiff).u16(0);
  if (mark !== 0x4949 && mark !== 0x4d4d) return null;
  const reader = new ByteReader(tiff, mark === 0x4949 ? 'little' : 'big');
  const directory = reader.u32(4);
  if (reader.u16(2) !== 42 || directory === undefined) return null;
  const entries = reader.u16(directory) ?? 0;
  for (let i = 0; i < entries; i++) {
    const entry = directory + 2 + 12 * i;
    const tag = reader.u16(entry);
    if (tag === undefined) return null;
    if (tag !== ORIENTATION_TAG) continue;
    const value = reader.u16(entry + 2) === SHORT ? reader.u16(entry + 8) : undefined;
    return value !== undefined && value >= 1 && value <= 8 ? value : null;
  }
  return 1;
}
