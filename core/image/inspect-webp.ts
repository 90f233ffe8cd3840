import { ByteReader } from './byte-reader.ts';
import { corrupt, type HeaderResult, headerOf, truncated } from './image-header.ts';

/** Reads a WebP's size and frames by walking its chunks (RFC 9649); of several sizes it takes the largest. */
export function inspectWebp(bytes: Uint8Array): HeaderResult {
  const reader = new ByteReader(bytes, 'little');
  const riffBytes = reader.u32(4);
  if (riffBytes === undefined) return truncated('the WebP ends inside its header');
  const end = Math.min(bytes.length, 8 + riffBytes);
  let widthPx = 0;
  let heightPx = 0;
  let frames = 0;
  for (let at = 12; at + 8 <= end; ) {
    const type = reader.text(at, 4);
    const size = sizeOf(type, reader, at + 8);
    widthPx = Math.max(widthPx, size?.widthPx ?? 0);
    heightPx = Math.max(heightPx, size?.heightPx ?? 0);
    if (type === 'ANMF') frames++;
    const length = reader.u32(at + 4) ?? 0;
    at += 8 + length + (length % 2);
  }
  if (widthPx === 0 || heightPx === 0) {
    return bytes.length < 8 + riffBytes
      ? truncated('the WebP ends before its picture')
      : corrupt('the WebP has no picture in it');
  }
  return headerOf(
    {
      widthPx,
      heightPx,
      frames: Math.max(1, frames),
      isBuffered: true,
      isTruncated: bytes.length < 8 + riffBytes,
    },
    'WebP',
  );
}

function sizeOf(
  type: string,
  reader: ByteReader,
  at: number,
): { widthPx: number; heightPx: number } | undefined {
  switch (type) {
    case 'VP8X':
      return plusOne(reader.u24(at + 4), reader.u24(at + 7));
    case 'ANMF':
      return plusOne(reader.u24(at + 6), reader.u24(at + 9));
    case 'VP8L': {
      const bits = reader.u32(at + 1);
      if (bits === undefined || reader.u8(at) !== 0x2f) return undefined;
      return { widthPx: (bits & 0x3fff) + 1, heightPx: ((bits >>> 14) & 0x3fff) + 1 };
    }
    case 'VP8 ': {
      const width = reader.u16(at + 6);
      const height = reader.u16(at + 8);
      if (width === undefined || height === undefined) return undefined;
      return { widthPx: width & 0x3fff, heightPx: height & 0x3fff };
    }
    default:
      return undefined;
  }
}

function plusOne(
  width: number | undefined,
  height: number | undefined,
): { widthPx: number; heightPx: number } | undefined {
  if (width === undefined || height === undefined) return undefined;
  return { widthPx: width + 1, heightPx: height + 1 };
}
