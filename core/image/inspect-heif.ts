import { ByteReader } from './byte-reader.ts';
import { corrupt, type HeaderResult, headerOf, truncated } from './image-header.ts';

/** The boxes on the way to the sizes: meta → iprp → ipco → ispe. */
const CONTAINERS: ReadonlySet<string> = new Set([
  'meta',
  'iprp',
  'ipco',
  'moov',
  'trak',
  'mdia',
  'minf',
  'stbl',
]);
const MAX_BOXES = 10_000;

/**
 * Reads the largest picture size of an AVIF or HEIC file from its `ispe` boxes (ISO/IEC 23008-12, section 6.5.3). A
 * grid's whole is named there beside its tiles, and a decoder holds it whole.
 */
export function inspectHeif(bytes: Uint8Array, format: 'AVIF' | 'HEIC'): HeaderResult {
  const reader = new ByteReader(bytes);
  const largest = { widthPx: 0, heightPx: 0 };
  let frames = 1;
  let boxes = 0;
  let isShort = false;
  const walk = (from: number, end: number): void => {
    for (let at = from; at + 8 <= end && boxes < MAX_BOXES; ) {
      boxes++;
      const type = reader.text(at + 4, 4);
      const short = reader.u32(at) as number;
      const headerBytes = short === 1 ? 16 : 8;
      const boxBytes = short === 0 ? end - at : short === 1 ? (reader.u64(at + 8) ?? 0) : short;
      if (boxBytes < headerBytes) return;
      if (at + boxBytes > reader.length) isShort = true;
      if (type === 'ispe') {
        const widthPx = reader.u32(at + 12) ?? 0;
        const heightPx = reader.u32(at + 16) ?? 0;
        if (widthPx * heightPx > largest.widthPx * largest.heightPx)
          Object.assign(largest, { widthPx, heightPx });
      } else if (type === 'stsz') {
        // The samples of a sequence's track are its frames.
        frames = Math.max(frames, reader.u32(at + 16) ?? 1);
      } else if (CONTAINERS.has(type)) {
        walk(at + headerBytes + (type === 'meta' ? 4 : 0), Math.min(end, at + boxBytes));
      }
      at += boxBytes;
    }
  };
  walk(0, bytes.length);
  if (largest.widthPx === 0) {
    return isShort
      ? truncated(`the ${format} ends before its picture`)
      : corrupt(`the ${format} does not tell its size`);
  }
  return headerOf({ ...largest, frames, isBuffered: true }, format);
}
