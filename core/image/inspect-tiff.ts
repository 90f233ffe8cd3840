import { ByteReader } from './byte-reader.ts';
import { corrupt, type HeaderResult, headerOf, truncated } from './image-header.ts';

const TAG = { width: 256, height: 257, photometric: 262, orientation: 274 } as const;
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
  const widthPx = tags.get(TAG.width);
  const heightPx = tags.get(TAG.height);
  if (widthPx === undefined || heightPx === undefined) return corrupt('the TIFF does not tell its size');
  const frames = countPages(reader, layout, first);
  if (frames === undefined) return corrupt('the pages of the TIFF form a loop');
  const isCmyk = tags.get(TAG.photometric) === SEPARATED_INKS;
  return headerOf({ widthPx, heightPx, frames, isCmyk, orientation: tags.get(TAG.orientation) ?? 1 }, 'TIFF');
}

/** The numbers of the wanted tags; `undefined` where the directory does not lie within the file. */
function firstPage(reader: ByteReader, layout: Layout, at: number): Map<number, number> | undefined {
  const entries = layout.count(reader, at);
  if (entries === undefined) return undefined;
  const wanted = new Set<number>(Object.values(TAG));
  const tags = new Map<number, number>();
  for (let i = 0; i < entries; i++) {
    const entry = at + layout.countBytes + i * layout.entryBytes;
    const tag = reader.u16(entry);
    if (tag === undefined) return undefined;
    if (!wanted.has(tag)) continue;
    // SHORT is 3, LONG is 4.
    const value =
      reader.u16(entry + 2) === 3 ? reader.u16(entry + layout.valueAt) : reader.u32(entry + layout.valueAt);
    if (value !== undefined) tags.set(tag, value);
  }
  return tags;
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
