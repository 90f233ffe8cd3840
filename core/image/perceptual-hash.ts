import { CellLuma } from '#core/image/cell-luma.ts';

/** Side of the picture that is transformed, and of the block of low frequencies that is kept. */
const SIDE = 32;
const KEPT = 8;
/**
 * A picture whose 32×32 luma varies by less than this (standard deviation, in levels of 255) has no structure but
 * noise and rounding: every bit of its hash would be chance, and blank pictures would all be "alike".
 */
const MIN_LUMA_STD = 1.5;

/** cos((2x + 1) · k · π / 64), row k after row k: the low rows of the DCT-II matrix of size 32, unscaled. */
const COSINES = Float64Array.from({ length: KEPT * SIDE }, (_, i) =>
  Math.cos(((2 * (i % SIDE) + 1) * Math.floor(i / SIDE) * Math.PI) / (2 * SIDE)),
);

/**
 * The 64-bit DCT hash of a picture as 16 hex digits, or null for one too flat to have one: luma (ITU-R BT.601),
 * averaged to 32×32, two-dimensional DCT-II, the 8×8 lowest frequencies against their median, row by row, most
 * significant bit first. Equal to `phash` of the Python package imagehash but for the resampling.
 *
 * Source: Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1.
 *
 * @param pixels uint8 RGB `[heightPx, widthPx, 3]`.
 */
export function perceptualHash(pixels: Uint8Array, widthPx: number, heightPx: number): string | null {
  const luma = averagedLuma(pixels, widthPx, heightPx);
  if (standardDeviation(luma) < MIN_LUMA_STD) return null;
  const frequencies = lowFrequencies(luma);
  const sorted = Float64Array.from(frequencies).sort();
  const median = ((sorted[31] as number) + (sorted[32] as number)) / 2;
  let hash = '';
  for (let i = 0; i < 64; i += 4) {
    let digit = 0;
    for (let bit = 0; bit < 4; bit++) digit = 2 * digit + ((frequencies[i + bit] as number) > median ? 1 : 0);
    hash += digit.toString(16);
  }
  return hash;
}

/** In how many of their 64 bits two hashes differ. */
export function hammingDistance(a: string, b: string): number {
  let bits = 0;
  for (let i = 0; i < 16; i += 8) {
    let differing = Number.parseInt(a.slice(i, i + 8), 16) ^ Number.parseInt(b.slice(i, i + 8), 16);
    for (; differing !== 0; differing &= differing - 1) bits++;
  }
  return bits;
}

/**
 * Luma averaged over 32×32 equal cells, whatever the size of the picture: cells whose borders lie between pixels have
 * their share of those pixels.
 */
function averagedLuma(pixels: Uint8Array, widthPx: number, heightPx: number): Float64Array {
  const luma = new CellLuma(widthPx, borders(widthPx));
  const lines = borders(heightPx);
  const cells = new Float64Array(SIDE * SIDE);
  for (let band = 0; band < SIDE; band++) {
    const [from, to] = [lines[band] as number, lines[band + 1] as number];
    const [first, last] = [Math.ceil(from), Math.floor(to)];
    const at = band * SIDE;
    if (first > last) {
      // The band lies within one row.
      luma.add(pixels, last, last + 1, to - from, cells, at);
      continue;
    }
    if (first > from) luma.add(pixels, first - 1, first, first - from, cells, at);
    luma.add(pixels, first, last, 1, cells, at);
    if (to > last) luma.add(pixels, last, last + 1, to - last, cells, at);
  }
  const scale = (SIDE * SIDE) / (widthPx * heightPx * 256);
  for (let i = 0; i < cells.length; i++) cells[i] = (cells[i] as number) * scale;
  return cells;
}

/** Where the 33 borders of 32 equal cells lie on a side. */
function borders(sidePx: number): Float64Array {
  return Float64Array.from({ length: SIDE + 1 }, (_, i) => (i * sidePx) / SIDE);
}

/** The 8×8 lowest frequencies of the DCT-II of a 32×32 picture, row by row. */
function lowFrequencies(luma: Float64Array): Float64Array {
  const across = new Float64Array(KEPT * SIDE);
  for (let y = 0; y < SIDE; y++) lowOfLine(luma, y * SIDE, across, y, SIDE);
  const low = new Float64Array(KEPT * KEPT);
  for (let l = 0; l < KEPT; l++) lowOfLine(across, l * SIDE, low, l, KEPT);
  return low;
}

/** The lowest frequencies of 32 values beside each other, written `stride` apart. */
function lowOfLine(
  values: Float64Array,
  from: number,
  target: Float64Array,
  to: number,
  stride: number,
): void {
  for (let k = 0; k < KEPT; k++) {
    let sum = 0;
    for (let x = 0; x < SIDE; x++) sum += (values[from + x] as number) * (COSINES[k * SIDE + x] as number);
    target[to + k * stride] = sum;
  }
}

function standardDeviation(values: Float64Array): number {
  let sum = 0;
  let squares = 0;
  for (const value of values) {
    sum += value;
    squares += value * value;
  }
  const mean = sum / values.length;
  return Math.sqrt(Math.max(0, squares / values.length - mean * mean));
}
