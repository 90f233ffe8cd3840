import { type BmpLayout, bmpLayout, isOwnCoding } from './inspect-bmp.ts';

const END_OF_LINE = 0;
const END_OF_PICTURE = 1;
const DELTA = 2;

/**
 * Decodes a BMP of any depth, plain or run-length coded (Microsoft, "Bitmap Storage" and "Bitmap Compression").
 * The size must have been held to the limits before: this allocates 4 bytes for each pixel.
 *
 * @returns uint8 RGBA `[heightPx, widthPx, 4]`, the top row first; alpha is 255 but where the file has an alpha mask.
 * @throws Error for a file that is damaged or of a kind that is not decoded; the message names no bytes of the file.
 */
export function decodeBmp(bytes: Uint8Array): { widthPx: number; heightPx: number; rgba: Uint8Array } {
  const layout = bmpLayout(bytes);
  if (layout === undefined) throw new Error('unexpected end of data in the BMP header');
  if (!isOwnCoding(layout)) throw new Error('unsupported BMP compression');
  const { widthPx, heightPx, bitsPerPixel } = layout;
  const rgba = new Uint8Array(widthPx * heightPx * 4);
  if (bitsPerPixel <= 8) {
    const indices = isRunLength(layout) ? runLengthIndices(bytes, layout) : plainIndices(bytes, layout);
    paint(rgba, indices, paletteOf(bytes, layout));
  } else if (bitsPerPixel === 24) readTriples(bytes, layout, rgba);
  else readMasked(bytes, layout, rgba);
  return { widthPx, heightPx, rgba };
}

function isRunLength({ compression }: BmpLayout): boolean {
  return compression === 1 || compression === 2;
}

/** Where the stored row begins that shows as row `y` from the top. */
function rowAt(layout: BmpLayout, y: number): number {
  const stored = layout.isTopDown ? y : layout.heightPx - 1 - y;
  return layout.pixelsAt + stored * layout.rowBytes;
}

function checkEnd(bytes: Uint8Array, layout: BmpLayout): void {
  const lastRowBytes = Math.ceil((layout.widthPx * layout.bitsPerPixel) / 8);
  const end = layout.pixelsAt + layout.rowBytes * (layout.heightPx - 1) + lastRowBytes;
  if (end > bytes.length) throw new Error('unexpected end of data in the BMP pixels');
}

function readTriples(bytes: Uint8Array, layout: BmpLayout, rgba: Uint8Array): void {
  checkEnd(bytes, layout);
  for (let y = 0, to = 0; y < layout.heightPx; y++) {
    let from = rowAt(layout, y);
    for (let x = 0; x < layout.widthPx; x++, from += 3, to += 4) {
      rgba[to] = bytes[from + 2]!;
      rgba[to + 1] = bytes[from + 1]!;
      rgba[to + 2] = bytes[from]!;
      rgba[to + 3] = 255;
    }
  }
}

function readMasked(bytes: Uint8Array, layout: BmpLayout, rgba: Uint8Array): void {
  checkEnd(bytes, layout);
  const bytesPerPixel = layout.bitsPerPixel / 8;
  const channels = layout.masks.map((mask) => channelOf(mask));
  let isClear = true;
  for (let y = 0, to = 0; y < layout.heightPx; y++) {
    let from = rowAt(layout, y);
    for (let x = 0; x < layout.widthPx; x++, from += bytesPerPixel, to += 4) {
      let pixel = bytes[from]! | (bytes[from + 1]! << 8);
      if (bytesPerPixel === 4) pixel |= (bytes[from + 2]! << 16) | (bytes[from + 3]! << 24);
      for (let i = 0; i < 4; i++) {
        const { mask, shift, scale } = channels[i]!;
        rgba[to + i] = Math.round(((pixel & mask) >>> shift) * scale);
      }
      if (rgba[to + 3] !== 0) isClear = false;
    }
  }
  // Without an alpha mask, or with one whose channel was never filled in, the picture is opaque.
  if (isClear) for (let i = 3; i < rgba.length; i += 4) rgba[i] = 255;
}

/** How the bits under a mask become 0–255. */
function channelOf(mask: number): { mask: number; shift: number; scale: number } {
  const shift = mask === 0 ? 0 : 31 - Math.clz32(mask & -mask);
  const largest = (mask >>> shift) >>> 0;
  return { mask, shift, scale: largest === 0 ? 0 : 255 / largest };
}

/** Red, green and blue of each colour. */
function paletteOf(bytes: Uint8Array, { palette }: BmpLayout): Uint8Array {
  const colors = new Uint8Array(palette.colors * 3);
  if (palette.at + palette.colors * palette.entryBytes > bytes.length)
    throw new Error('unexpected end of data in the BMP palette');
  for (let i = 0; i < palette.colors; i++) {
    const from = palette.at + i * palette.entryBytes;
    colors.set([bytes[from + 2]!, bytes[from + 1]!, bytes[from]!], 3 * i);
  }
  return colors;
}

function paint(rgba: Uint8Array, indices: Uint8Array, colors: Uint8Array): void {
  for (let i = 0, to = 0; i < indices.length; i++, to += 4) {
    const color = 3 * indices[i]!;
    if (color >= colors.length) throw new Error('a BMP pixel has a colour outside the palette');
    rgba[to] = colors[color]!;
    rgba[to + 1] = colors[color + 1]!;
    rgba[to + 2] = colors[color + 2]!;
    rgba[to + 3] = 255;
  }
}

function plainIndices(bytes: Uint8Array, layout: BmpLayout): Uint8Array {
  checkEnd(bytes, layout);
  const { widthPx, heightPx, bitsPerPixel } = layout;
  const perByte = 8 / bitsPerPixel;
  const mask = 2 ** bitsPerPixel - 1;
  const indices = new Uint8Array(widthPx * heightPx);
  for (let y = 0, to = 0; y < heightPx; y++) {
    const from = rowAt(layout, y);
    for (let x = 0; x < widthPx; x++) {
      const shift = 8 - bitsPerPixel * (1 + (x % perByte));
      indices[to++] = (bytes[from + Math.floor(x / perByte)]! >>> shift) & mask;
    }
  }
  return indices;
}

/** RLE8 and RLE4. Pixels that no run covers keep the first colour of the palette. */
function runLengthIndices(bytes: Uint8Array, layout: BmpLayout): Uint8Array {
  const { widthPx, heightPx, bitsPerPixel, isTopDown } = layout;
  const indices = new Uint8Array(widthPx * heightPx);
  let at = layout.pixelsAt;
  let x = 0;
  let line = 0;
  const next = (): number => {
    const byte = bytes[at++];
    if (byte === undefined) throw new Error('unexpected end of data in the BMP runs');
    return byte;
  };
  const put = (index: number): void => {
    if (x >= widthPx || line >= heightPx) throw new Error('a BMP run leaves the picture');
    indices[(isTopDown ? line : heightPx - 1 - line) * widthPx + x++] = index;
  };
  /** The i-th index of a run: in RLE4 a byte holds two, the first in its upper half. */
  const indexIn = (byte: number, i: number): number =>
    bitsPerPixel === 8 ? byte : i % 2 === 0 ? byte >> 4 : byte & 15;
  for (;;) {
    const count = next();
    const value = next();
    if (count > 0) for (let i = 0; i < count; i++) put(indexIn(value, i));
    else if (value === END_OF_PICTURE) return indices;
    else if (value === END_OF_LINE) {
      x = 0;
      line++;
    } else if (value === DELTA) {
      x += next();
      line += next();
    } else {
      const from = at;
      let byte = 0;
      for (let i = 0; i < value; i++) {
        if (bitsPerPixel === 8 || i % 2 === 0) byte = next();
        put(indexIn(byte, i));
      }
      // Literal runs are filled up to an even number of bytes.
      if ((at - from) % 2 === 1) at++;
    }
  }
}
