import { ByteReader } from './byte-reader.ts';

const ORIENTATION_TAG = 0x0112;
const SHORT = 3;

/**
 * The orientation (1–8) in a TIFF-structured EXIF block, as EXIF 2.32 section 4.6.4 has it; 1 (upright) where
 * there is none or it cannot be read, which is what libvips makes of it too.
 *
 * @param tiff the block from its byte-order mark on.
 */
export function exifOrientation(tiff: Uint8Array): number {
  const mark = new ByteReader(tiff).u16(0);
  if (mark !== 0x4949 && mark !== 0x4d4d) return 1;
  const reader = new ByteReader(tiff, mark === 0x4949 ? 'little' : 'big');
  const directory = reader.u32(4);
  if (reader.u16(2) !== 42 || directory === undefined) return 1;
  const entries = reader.u16(directory) ?? 0;
  for (let i = 0; i < entries; i++) {
    const entry = directory + 2 + 12 * i;
    const tag = reader.u16(entry);
    if (tag === undefined) return 1;
    if (tag !== ORIENTATION_TAG) continue;
    const value = reader.u16(entry + 2) === SHORT ? reader.u16(entry + 8) : undefined;
    return value !== undefined && value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}
