import { ByteReader } from './byte-reader.ts';
import { type HeaderResult, headerOf, truncated } from './image-header.ts';

const CORE_HEADER_BYTES = 12;

/** Reads a BMP's size from its DIB header (Microsoft, "Bitmap Storage"); a negative height means rows from the top. */
export function inspectBmp(bytes: Uint8Array): HeaderResult {
  const reader = new ByteReader(bytes, 'little');
  const isCore = reader.u32(14) === CORE_HEADER_BYTES;
  const widthPx = isCore ? reader.u16(18) : reader.i32(18);
  const heightPx = isCore ? reader.u16(20) : reader.i32(22);
  if (widthPx === undefined || heightPx === undefined) return truncated('the BMP ends inside its header');
  return headerOf({ widthPx, heightPx: Math.abs(heightPx), isBuffered: true, orientation: 1 }, 'BMP');
}
