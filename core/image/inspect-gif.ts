import { ByteReader } from './byte-reader.ts';
import { corrupt, type HeaderResult, headerOf, truncated } from './image-header.ts';

const EXTENSION = 0x21;
const IMAGE = 0x2c;
const TRAILER = 0x3b;

/**
 * Reads a GIF's canvas and counts its frames by walking its blocks (GIF89a specification). A missing trailer is
 * let pass: many writers leave it out, and every frame is there.
 */
export function inspectGif(bytes: Uint8Array): HeaderResult {
  const reader = new ByteReader(bytes, 'little');
  const widthPx = reader.u16(6);
  const heightPx = reader.u16(8);
  const flags = reader.u8(10);
  if (widthPx === undefined || heightPx === undefined || flags === undefined) {
    return truncated('the GIF ends inside its header');
  }
  let frames = 0;
  let largest = { widthPx, heightPx };
  let at: number | undefined = 13 + colorTableBytes(flags);
  while (at !== undefined && at < bytes.length) {
    const block: number = bytes[at]!;
    if (block === TRAILER) break;
    if (block === EXTENSION) at = endOfSubBlocks(bytes, at + 2);
    else if (block === IMAGE) {
      const frame = frameSize(reader, at);
      if (frame === undefined) return truncated('the GIF ends inside a frame header');
      frames++;
      largest = {
        widthPx: Math.max(largest.widthPx, frame.widthPx),
        heightPx: Math.max(largest.heightPx, frame.heightPx),
      };
      at = endOfSubBlocks(bytes, at + 11 + colorTableBytes(frame.flags));
    } else if (frames > 0) break;
    else return corrupt('the GIF has an unknown block');
  }
  if (at === undefined) return truncated('the GIF ends inside a block');
  if (frames === 0) {
    return at > bytes.length
      ? truncated('the GIF ends before its first frame')
      : corrupt('the GIF has no frames');
  }
  return headerOf({ ...largest, frames, isBuffered: true, orientation: 1 }, 'GIF');
}

function frameSize(
  reader: ByteReader,
  at: number,
): { widthPx: number; heightPx: number; flags: number } | undefined {
  const left = reader.u16(at + 1);
  const top = reader.u16(at + 3);
  const width = reader.u16(at + 5);
  const height = reader.u16(at + 7);
  const flags = reader.u8(at + 9);
  if (left === undefined || top === undefined || width === undefined) return undefined;
  if (height === undefined || flags === undefined) return undefined;
  // Decoders make room for a frame that hangs over the canvas.
  return { widthPx: left + width, heightPx: top + height, flags };
}

function colorTableBytes(flags: number): number {
  return (flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 7) + 1);
}

function endOfSubBlocks(bytes: Uint8Array, from: number): number | undefined {
  let at = from;
  for (;;) {
    const length = bytes[at];
    if (length === undefined) return undefined;
    at += 1 + length;
    if (length === 0) return at;
  }
}
