import { ByteReader } from './byte-reader.ts';
import { corrupt, type HeaderResult, headerOf, truncated } from './image-header.ts';

const CORE_HEADER_BYTES = 12;
const INFO_HEADER_BYTES = 40;
const FILE_HEADER_BYTES = 14;
const RGB = 0;
const BIT_FIELDS = 3;
const ALPHA_BIT_FIELDS = 6;

/** Where the parts of a BMP are, and how its pixels are stored. */
export interface BmpLayout {
  readonly widthPx: number;
  readonly heightPx: number;
  /** The first stored row is the top one. */
  readonly isTopDown: boolean;
  readonly bitsPerPixel: number;
  /** biCompression: 0 plain, 1 RLE8, 2 RLE4, 3 and 6 bit fields. */
  readonly compression: number;
  /** In colours of `paletteEntryBytes` each: blue, green, red. */
  readonly palette: { readonly at: number; readonly entryBytes: number; readonly colors: number };
  /** Where red, green, blue and alpha lie in a 16- or 32-bit pixel. */
  readonly masks: readonly [red: number, green: number, blue: number, alpha: number];
  readonly pixelsAt: number;
  /** Bytes of one stored row; rows begin at multiples of four. */
  readonly rowBytes: number;
}

/**
 * Reads a BMP's size from its DIB header (Microsoft, "Bitmap Storage"; OS/2's headers are its older and younger
 * brothers); a negative height means rows from the top.
 */
export function inspectBmp(bytes: Uint8Array): HeaderResult {
  const layout = bmpLayout(bytes);
  if (layout === undefined) return truncated('the BMP ends inside its header');
  const { widthPx, heightPx, bitsPerPixel } = layout;
  if (![1, 2, 4, 8, 16, 24, 32].includes(bitsPerPixel)) return corrupt('the BMP has an impossible depth');
  const isPlain = layout.compression !== 1 && layout.compression !== 2;
  const endOfPixels =
    layout.pixelsAt + layout.rowBytes * (heightPx - 1) + Math.ceil((widthPx * bitsPerPixel) / 8);
  return headerOf(
    {
      widthPx,
      heightPx,
      isBuffered: true,
      orientation: 1,
      isTruncated: isPlain && isOwnCoding(layout) && endOfPixels > bytes.length,
    },
    'BMP',
  );
}

/** A BMP can also wrap a JPEG, a PNG or a fax: those are not decoded. */
export function isOwnCoding({ compression, bitsPerPixel }: BmpLayout): boolean {
  if (compression === 1) return bitsPerPixel === 8;
  if (compression === 2) return bitsPerPixel === 4;
  if (compression === BIT_FIELDS || compression === ALPHA_BIT_FIELDS)
    return bitsPerPixel === 16 || bitsPerPixel === 32;
  return compression === RGB;
}

/** `undefined` where the file ends inside its headers. */
export function bmpLayout(bytes: Uint8Array): BmpLayout | undefined {
  const reader = new ByteReader(bytes, 'little');
  const headerBytes = reader.u32(14);
  const pixelsAt = reader.u32(10);
  if (headerBytes === undefined || pixelsAt === undefined) return undefined;
  const isCore = headerBytes === CORE_HEADER_BYTES;
  const widthPx = isCore ? reader.u16(18) : reader.i32(18);
  const storedHeight = isCore ? reader.u16(20) : reader.i32(22);
  const bitsPerPixel = reader.u16(isCore ? 24 : 28);
  if (widthPx === undefined || storedHeight === undefined || bitsPerPixel === undefined) return undefined;
  const hasInfo = headerBytes >= INFO_HEADER_BYTES;
  const compression = hasInfo ? reader.u32(30) : RGB;
  const colorsUsed = hasInfo ? reader.u32(46) : 0;
  if (compression === undefined || colorsUsed === undefined) return undefined;
  const hasMasks = compression === BIT_FIELDS || compression === ALPHA_BIT_FIELDS;
  // With the plain info header the masks stand behind it; the longer headers hold them at the same place.
  const masksBehind = hasMasks && headerBytes === INFO_HEADER_BYTES;
  const maskBytes = masksBehind ? (compression === ALPHA_BIT_FIELDS ? 16 : 12) : 0;
  const hasAlphaMask = hasMasks && (headerBytes >= 56 || compression === ALPHA_BIT_FIELDS);
  const maskAt = (i: number): number => reader.u32(FILE_HEADER_BYTES + INFO_HEADER_BYTES + 4 * i) ?? 0;
  const colors = bitsPerPixel <= 8 ? 2 ** bitsPerPixel : 0;
  return {
    widthPx,
    heightPx: Math.abs(storedHeight),
    isTopDown: storedHeight < 0,
    bitsPerPixel,
    compression,
    palette: {
      at: FILE_HEADER_BYTES + headerBytes + maskBytes,
      entryBytes: isCore ? 3 : 4,
      colors: colorsUsed === 0 ? colors : Math.min(colors, colorsUsed),
    },
    masks: hasMasks
      ? [maskAt(0), maskAt(1), maskAt(2), hasAlphaMask ? maskAt(3) : 0]
      : bitsPerPixel === 16
        ? [0x7c00, 0x03e0, 0x001f, 0]
        : [0xff0000, 0xff00, 0xff, 0],
    pixelsAt,
    rowBytes: Math.ceil((widthPx * bitsPerPixel) / 32) * 4,
  };
}
