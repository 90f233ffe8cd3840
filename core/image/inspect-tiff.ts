import { ByteReader } from './byte-reader.ts';
import { corrupt, type HeaderResult, headerOf, truncated } from './image-header.ts';

const TAG = {
  width: 256,
  height: 257,
  photometric: 262,
  stripOffsets: 273,
  orientation: 274,
  stripByteCounts: 279,
  tileOffsets: 324,
  tileByteCounts: 325,
} as const;
/** Bytes of the field types that numbers come in: SHORT, LONG and BigTIFF's LONG8. */
const NUMBER_BYTES: Readonly<Record<number, 2 | 4 | 8>> = { 3: 2, 4: 4, 16: 8 };
const SEPARATED_INKS = 5;
/** More pages than any limit would allow: a longer chain is not followed to its end. */
const MAX_PAGES_FOLLOWED = 100_000;

/** How classic TIFF and BigTIFF differ. */
interface Layout {
  readonly first: number;
  readonly countBytes: number;
  readonly entryBytes: number;
  /** Where in an entry its value stands. */
  readonly valueAt: number;
  offset(reader: ByteReader, at: number): number | undefined;
  count(reader: ByteReader, at: number): number | undefined;
}

const CLASSIC: Layout = {
  first: 4,
  countBytes: 2,
  entryBytes: 12,
  valueAt: 8,
  offset: (reader, at) => reader.u32(at),
  count: (reader, at) => reader.u16(at),
};

const BIG: Layout = {
  first: 8,
  countBytes: 8,
  entryBytes: 20,
  valueAt: 12,
  offset: (reader, at) => reader.u64(at),
  count: (reader, at) => reader.u64(at),
};

/** Reads the first page of a TIFF and counts its pages (TIFF 6.0, section 2; BigTIFF has version 43). */
export function inspectTiff(bytes: Uint8Array): HeaderResult {
  const reader = new ByteReader(bytes, bytes[0] === 0x49 ? 'little' : 'big');
  const layout = reader.u16(2) === 43 ? BIG : CLASSIC;
  const first = layout.offset(reader, layout.first);
  if (first === undefined) return truncated('the TIFF ends inside its header');
  const tags = firstPage(reader, layout, first);
  if (tags === undefined) return truncated('the TIFF points to a directory beyond its end');
  const widthPx = tags.get(TAG.width)?.at(0);
  const heightPx = tags.get(TAG.height)?.at(0);
  if (widthPx === undefined || heightPx === undefined) return corrupt('the TIFF does not tell its size');
  const frames = countPages(reader, layout, first);
  if (frames === undefined) return corrupt('the pages of the TIFF form a loop');
  const isCmyk = tags.get(TAG.photometric)?.at(0) === SEPARATED_INKS;
  const isTruncated =
    endOfPieces(tags.get(TAG.stripOffsets), tags.get(TAG.stripByteCounts)) > bytes.length ||
    endOfPieces(tags.get(TAG.tileOffsets), tags.get(TAG.tileByteCounts)) > bytes.length;
  const orientation = tags.get(TAG.orientation)?.at(0) ?? 1;
  return headerOf({ widthPx, heightPx, frames, isCmyk, orientation, isTruncated }, 'TIFF');
}

/** One tag's numbers, read where they are asked for: there can be as many as the file has room for. */
interface Numbers {
  readonly count: number;
  at(index: number): number | undefined;
}

/** The numbers of the wanted tags; `undefined` where the directory does not lie within the file. */
function firstPage(reader: ByteReader, layout: Layout, at: number): Map<number, Numbers> | undefined {
  const entries = layout.count(reader, at);
  if (entries === undefined) return undefined;
  const wanted = new Set<number>(Object.values(TAG));
  const tags = new Map<number, Numbers>();
  for (let i = 0; i < entries; i++) {
    const entry = at + layout.countBytes + i * layout.entryBytes;
    const tag = reader.u16(entry);
    if (tag === undefined) return undefined;
    if (wanted.has(tag)) tags.set(tag, numbersOf(reader, layout, entry));
  }
  const end = at + layout.countBytes + entries * layout.entryBytes;
  return layout.offset(reader, end) === undefined ? undefined : tags;
}

function numbersOf(reader: ByteReader, layout: Layout, entry: number): Numbers {
  const bytesEach = NUMBER_BYTES[reader.u16(entry + 2) ?? 0];
  const count = layout.offset(reader, entry + 4);
  if (bytesEach === undefined || count === undefined) return { count: 0, at: () => undefined };
  // What does not fit into the entry stands elsewhere, at the offset in its place.
  const fits = count * bytesEach <= layout.entryBytes - layout.valueAt;
  const from = fits ? entry + layout.valueAt : layout.offset(reader, entry + layout.valueAt);
  const read = { 2: reader.u16, 4: reader.u32, 8: reader.u64 }[bytesEach].bind(reader);
  return { count, at: (index) => (from === undefined ? undefined : read(from + index * bytesEach)) };
}

/** Where the last of the strips or tiles ends; infinitely far where their list itself leaves the file. */
function endOfPieces(offsets: Numbers | undefined, byteCounts: Numbers | undefined): number {
  if (offsets === undefined || byteCounts === undefined) return 0;
  let end = 0;
  for (let i = 0; i < Math.min(offsets.count, byteCounts.count); i++) {
    const offset = offsets.at(i);
    const length = byteCounts.at(i);
    if (offset === undefined || length === undefined) return Number.POSITIVE_INFINITY;
    end = Math.max(end, offset + length);
  }
  return end;
}

/** `undefined` for a chain that leads back to itself. */
function countPages(reader: ByteReader, layout: Layout, first: number): number | undefined {
  const seen = new Set<number>();
  let at: number | undefined = first;
  while (at !== undefined && at !== 0 && seen.size < MAX_PAGES_FOLLOWED) {
    if (seen.has(at)) return undefined;
    const entries = layout.count(reader, at);
    if (entries === undefined) break;
    seen.add(at);
    at = layout.offset(reader, at + layout.countBytes + entries * layout.entryBytes);
  }
  return Math.max(1, seen.size);
}
