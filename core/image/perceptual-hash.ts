import { hexWord } from '#core/hex-word.ts';
import { cellLuma } from '#core/image/cell-luma.ts';
import type { Lines } from '#core/image/kernel-memory.ts';
import { KEPT, lowFrequencies, SIDE } from '#core/image/low-frequencies.ts';

/**
 * A picture whose 32×32 luma varies by less than this (standard deviation, in levels of 255) has no structure but
 * noise and rounding: every bit of its hash would be chance, and blank pictures would all be "alike".
 */
const MIN_LUMA_STD = 1.5;

/**
 * The 64-bit DCT hash of a picture as 16 hex digits, or null for one too flat to have one: luma (ITU-R BT.601),
 * averaged to 32×32, two-dimensional DCT-II, the 8×8 lowest frequencies against their median, row by row, most
 * significant bit first. Equal to `phash` of the Python package imagehash but for the resampling.
 *
 * Source: Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1.
 */
export function perceptualHash(picture: Lines): string | null {
  const { memory, widthPx, heightPx } = picture;
  const take = memory.scratch();
  const squares = lowFrequencies(memory, cellLuma(picture, SIDE, take), take, frequencies);
  const count = SIDE * SIDE;
  const mean = (frequencies[0] as number) / count;
  const variance = squares / count - mean * mean;
  const minimum = (MIN_LUMA_STD * 256 * widthPx * heightPx) / count;
  if (variance < minimum * minimum) return null;
  sorted.set(frequencies);
  sorted.sort();
  const median = ((sorted[31] as number) + (sorted[32] as number)) / 2;
  return bits(frequencies, 0, median) + bits(frequencies, 32, median);
}

// One hash at a time: to make these anew takes as long as to fill them.
const frequencies = new Float64Array(KEPT * KEPT);
const sorted = new Float64Array(KEPT * KEPT);

/** 32 bits as 8 hex digits: which of the values from there on are above the median. */
function bits(values: Float64Array, from: number, median: number): string {
  let word = 0;
  for (let i = from; i < from + 32; i++) word = (word << 1) | ((values[i] as number) > median ? 1 : 0);
  return hexWord(word);
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
