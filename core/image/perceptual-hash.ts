import { CellLuma } from '#core/image/cell-luma.ts';

/** Side of the picture that is transformed, and of the block of low frequencies that is kept. */
const SIDE = 32;
const KEPT = 8;
/**
 * A picture whose 32×32 luma varies by less than this (standard deviation, in levels of 255) has no structure but
 * noise and rounding: every bit of its hash would be chance, and blank pictures would all be "alike".
 */
const MIN_LUMA_STD = 1.5;

const HALF = SIDE / 2;
/** cos((2x + 1) · k · π / 64), column x after column x: the left half of the low rows k of the DCT-II matrix of size 32, unscaled. */
const COSINES = Float64Array.from({ length: HALF * KEPT }, (_, i) =>
  Math.cos(((2 * Math.floor(i / KEPT) + 1) * (i % KEPT) * Math.PI) / (2 * SIDE)),
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
  const luma = summedLuma(pixels, widthPx, heightPx);
  const summed = (256 * widthPx * heightPx) / luma.length;
  if (standardDeviation(luma) < MIN_LUMA_STD * summed) return null;
  const frequencies = lowFrequencies(luma);
  const sorted = frequencies.slice().sort();
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
 * Luma added up over 32×32 equal cells, whatever the size of the picture, in 256ths of a level: cells whose borders lie
 * between pixels have their share of those pixels.
 */
function summedLuma(pixels: Uint8Array, widthPx: number, heightPx: number): Float64Array {
  const luma = new CellLuma(pixels, widthPx, SIDE, SIDE + 1);
  const { cells } = luma;
  const row = cells.subarray(SIDE * SIDE);
  let begin = 0;
  for (let band = 0; band < SIDE; band++) {
    const border = ((band + 1) * heightPx) / SIDE;
    const end = Math.floor(border);
    const at = band * SIDE;
    luma.add(begin, end, band);
    begin = end;
    // The next band adds all of a row that the border cuts: what belongs to this one is taken off there.
    const part = border - end;
    if (part === 0) continue;
    luma.add(end, end + 1, SIDE);
    for (let i = 0; i < SIDE; i++) {
      const share = part * (row[i] as number);
      cells[at + i] = (cells[at + i] as number) + share;
      cells[at + SIDE + i] = (cells[at + SIDE + i] as number) - share;
    }
    row.fill(0);
  }
  return cells.subarray(0, SIDE * SIDE);
}

/** The 8×8 lowest frequencies of the DCT-II of a 32×32 picture, row by row. */
function lowFrequencies(luma: Float64Array): Float64Array {
  const across = new Float64Array(KEPT * SIDE);
  for (let y = 0; y < SIDE; y++) lowOfLine(luma, y * SIDE, across, y, SIDE);
  const low = new Float64Array(KEPT * KEPT);
  for (let l = 0; l < KEPT; l++) lowOfLine(across, l * SIDE, low, l, KEPT);
  return low;
}

/**
 * The lowest frequencies of 32 values beside each other, written `stride` apart. The right half of a row of the matrix is its left half
 * mirrored, with the sign turned in every second row. Each sum is a variable of its own: in an array they take three times as long.
 */
function lowOfLine(
  values: Float64Array,
  from: number,
  target: Float64Array,
  to: number,
  stride: number,
): void {
  let [f0, f1, f2, f3, f4, f5, f6, f7] = [0, 0, 0, 0, 0, 0, 0, 0];
  for (let x = 0; x < HALF; x++) {
    const left = values[from + x] as number;
    const right = values[from + SIDE - 1 - x] as number;
    const [even, odd] = [left + right, left - right];
    const at = KEPT * x;
    f0 += even * (COSINES[at] as number);
    f1 += odd * (COSINES[at + 1] as number);
    f2 += even * (COSINES[at + 2] as number);
    f3 += odd * (COSINES[at + 3] as number);
    f4 += even * (COSINES[at + 4] as number);
    f5 += odd * (COSINES[at + 5] as number);
    f6 += even * (COSINES[at + 6] as number);
    f7 += odd * (COSINES[at + 7] as number);
  }
  target[to] = f0;
  target[to + stride] = f1;
  target[to + 2 * stride] = f2;
  target[to + 3 * stride] = f3;
  target[to + 4 * stride] = f4;
  target[to + 5 * stride] = f5;
  target[to + 6 * stride] = f6;
  target[to + 7 * stride] = f7;
}

function standardDeviation(values: Float64Array): number {
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    sum += value;
    squares += value * value;
  }
  const mean = sum / values.length;
  return Math.sqrt(Math.max(0, squares / values.length - mean * mean));
}
