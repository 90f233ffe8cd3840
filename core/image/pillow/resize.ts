import type { Size } from '#core/geometry.ts';
import { FILTERS } from './filters.ts';
import { nearestAsPillow } from './nearest.ts';
import { PRECISION_BITS, type Taps, tapsOf } from './taps.ts';

/** The kernels that Pillow has, in sharp's words. */
export type PillowKernel = 'nearest' | keyof typeof FILTERS;

/** Pictures that are so many times taller than wide have their vertical pass first. */
const TALL = 100;

/**
 * What Pillow's `Image.resize` makes of a picture, byte for byte: two passes, the horizontal one first, each in whole
 * numbers of 2⁻²² and rounded to whole levels. Sources: Pillow 12, src/libImaging/Resample.c, and for the order of the
 * passes src/PIL/Image.py. (Pillow 13 has the vertical pass first wherever a picture loses more than twice as many
 * rows as columns, which changes some pixels by a level; what models were trained on is older.)
 *
 * @param pixels uint8 RGB `[source.heightPx, source.widthPx, 3]`.
 * @returns uint8 RGB `[target.heightPx, target.widthPx, 3]`; `pixels` itself where the size stays as it is.
 */
export function resizeAsPillow(
  pixels: Uint8Array,
  source: Size,
  target: Size,
  kernel: PillowKernel,
): Uint8Array {
  // A pass that changes nothing is left out, as in Pillow.
  const isAcross = source.widthPx !== target.widthPx;
  const isDown = source.heightPx !== target.heightPx;
  if (!isAcross && !isDown) return pixels;
  if (kernel === 'nearest') return nearestAsPillow(pixels, source, target);
  const filter = FILTERS[kernel];
  const downFirst = source.heightPx > source.widthPx * TALL && target.heightPx < source.heightPx;
  const acrossOf = (from: Uint8Array, heightPx: number): Uint8Array =>
    isAcross
      ? across(from, { ...source, heightPx }, target.widthPx, tapsOf(filter, source.widthPx, target.widthPx))
      : from;
  const downOf = (from: Uint8Array, widthPx: number): Uint8Array =>
    isDown ? down(from, { ...target, widthPx }, tapsOf(filter, source.heightPx, target.heightPx)) : from;
  return downFirst
    ? acrossOf(downOf(pixels, source.widthPx), target.heightPx)
    : downOf(acrossOf(pixels, source.heightPx), target.widthPx);
}

function across(pixels: Uint8Array, source: Size, targetPx: number, taps: Taps): Uint8Array {
  const { first, count, weights, most } = taps;
  const result = new Uint8Array(targetPx * source.heightPx * 3);
  let to = 0;
  for (let y = 0; y < source.heightPx; y++) {
    const line = y * source.widthPx;
    for (let x = 0; x < targetPx; x++) {
      let at = (line + (first[x] as number)) * 3;
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      const end = x * most + (count[x] as number);
      for (let k = x * most; k < end; k++, at += 3) {
        const weight = weights[k] as number;
        red += (pixels[at] as number) * weight;
        green += (pixels[at + 1] as number) * weight;
        blue += (pixels[at + 2] as number) * weight;
      }
      result[to++] = level(red);
      result[to++] = level(green);
      result[to++] = level(blue);
    }
  }
  return result;
}

function down(pixels: Uint8Array, target: Size, taps: Taps): Uint8Array {
  const { first, count, weights, most } = taps;
  const rowBytes = target.widthPx * 3;
  const result = new Uint8Array(rowBytes * target.heightPx);
  const sums = new Int32Array(rowBytes);
  for (let y = 0; y < target.heightPx; y++) {
    sums.fill(HALF);
    for (let k = 0; k < (count[y] as number); k++) {
      const weight = weights[y * most + k] as number;
      const from = ((first[y] as number) + k) * rowBytes;
      for (let i = 0; i < rowBytes; i++)
        sums[i] = (sums[i] as number) + (pixels[from + i] as number) * weight;
    }
    const to = y * rowBytes;
    for (let i = 0; i < rowBytes; i++) result[to + i] = level(sums[i] as number);
  }
  return result;
}

const HALF = 1 << (PRECISION_BITS - 1);

function level(sum: number): number {
  return Math.min(255, Math.max(0, sum >> PRECISION_BITS));
}
