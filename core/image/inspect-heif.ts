import { ByteReader } from './byte-reader.ts';
import { corrupt, type HeaderResult, headerOf, truncated } from './image-header.ts';

/** The boxes on the way to sizes (meta → iprp → ipco → ispe) and to the frames of a sequence. */
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
/** Boxes that hold the picture: where one of them reaches beyond the end, the file is short. Garbage may look so too. */
const ESSENTIAL: ReadonlySet<string> = new Set(['meta', 'mdat', 'moov']);
const MAX_BOXES = 10_000;
/** moov → trak → mdia → minf → stbl → stsz is the longest way there is. */
const MAX_DEPTH = 6;

interface Box {
  readonly type: string;
  readonly at: number;
  /** The body's range, within the file. */
  readonly from: number;
  readonly to: number;
  readonly isShort: boolean;
}

/**
 * Reads the largest picture size of an AVIF or HEIC file from its `ispe` boxes (ISO/IEC 23008-12, section 6.5.3). A
 * grid's whole is named there beside its tiles, and a decoder holds it whole.
 */
export function inspectHeif(bytes: Uint8Array, format: 'AVIF' | 'HEIC'): HeaderResult {
  const reader = new ByteReader(bytes);
  let largest = { widthPx: 0, heightPx: 0 };
  let frames = 1;
  let isTruncated = false;
  let colorProfile: Uint8Array | null = null;
  for (const { type, at, from, to, isShort } of boxesOf(reader)) {
    if (isShort && ESSENTIAL.has(type)) isTruncated = true;
    if (type === 'ispe') {
      const widthPx = reader.u32(at + 12) ?? 0;
      const heightPx = reader.u32(at + 16) ?? 0;
      if (widthPx * heightPx > largest.widthPx * largest.heightPx) largest = { widthPx, heightPx };
    } else if (type === 'stsz') {
      // The samples of a sequence's track are its frames.
      frames = Math.max(frames, reader.u32(at + 16) ?? 1);
    } else if (type === 'colr' && ['prof', 'rICC'].includes(reader.text(from, 4))) {
      colorProfile ??= bytes.subarray(from + 4, to);
    }
  }
  if (largest.widthPx === 0) {
    return isTruncated
      ? truncated(`the ${format} ends before its picture`)
      : corrupt(`the ${format} does not tell its size`);
  }
  return headerOf({ ...largest, frames, isBuffered: true, isTruncated, colorProfile }, format);
}

/** All boxes on the way, in the order of the file; by a list of what is left to do, for files can nest without end. */
function* boxesOf(reader: ByteReader): Generator<Box> {
  const left = [{ from: 0, to: reader.length, depth: 1 }];
  for (let boxes = 0; boxes < MAX_BOXES; boxes++) {
    const range = left.at(-1);
    if (range === undefined) return;
    const box = boxAt(reader, range.from, range.to);
    if (box === undefined) {
      left.pop();
      continue;
    }
    range.from = box.to;
    yield box;
    if (CONTAINERS.has(box.type) && range.depth < MAX_DEPTH)
      left.push({ from: box.from + (box.type === 'meta' ? 4 : 0), to: box.to, depth: range.depth + 1 });
  }
}

function boxAt(reader: ByteReader, at: number, end: number): Box | undefined {
  const short = at + 8 <= end ? reader.u32(at) : undefined;
  if (short === undefined) return undefined;
  // 1 stands for a 64-bit length behind the type, 0 for "to the end".
  const headerBytes = short === 1 ? 16 : 8;
  const boxBytes = short === 0 ? end - at : short === 1 ? (reader.u64(at + 8) ?? 0) : short;
  if (boxBytes < headerBytes) return undefined;
  return {
    type: reader.text(at + 4, 4),
    at,
    from: at + headerBytes,
    to: Math.min(end, at + boxBytes),
    isShort: at + boxBytes > reader.length,
  };
}
