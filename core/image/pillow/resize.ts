import type { Size } from '#core/geometry.ts';
import { emptyKernelMemory, type Lines } from '#core/image/kernel-memory.ts';
import { FILTERS } from './filters.ts';
import { nearestAsPillow } from './nearest.ts';
import { Resampler } from './resampler.ts';
import { tapsOf } from './taps.ts';

/** The kernels that Pillow has, in sharp's words. */
export type PillowKernel = 'nearest' | keyof typeof FILTERS;

/** A row takes at least the room of so many pixels in the kernel's memory. */
const LEAST_ROW_PX = 6;

/** Pictures that are so many times taller than wide have their vertical pass first. */
const TALL = 100;

/**
 * What Pillow's `Image.resize` makes of a picture, byte for byte: two passes, the horizontal one first, each in whole
 * numbers of 2⁻²² and rounded to whole levels. Sources: Pillow 12, src/libImaging/Resample.c, and for the order of the
 * passes src/PIL/Image.py. (Pillow 13 has the vertical pass first wherever a picture loses more than twice as many
 * rows as columns, which changes some pixels by a level; what models were trained on is older.)
 *
 * @param pixels uint8 RGB `[source.heightPx, source.widthPx, 3]`.
 * @returns the picture of the target's size, in the kernels' memory, which was emptied for it.
 */
export function resizeAsPillow(pixels: Uint8Array, source: Size, target: Size, kernel: PillowKernel): Lines {
  const memory = emptyKernelMemory();
  // A pass that changes nothing is left out, as in Pillow.
  const isAcross = source.widthPx !== target.widthPx;
  const isDown = source.heightPx !== target.heightPx;
  if (!isAcross && !isDown) return memory.load(pixels, source);
  if (kernel === 'nearest') return memory.load(nearestAsPillow(pixels, source, target), target);
  const filter = FILTERS[kernel];
  const acrossTaps = tapsOf(filter, source.widthPx, target.widthPx);
  const downTaps = tapsOf(filter, source.heightPx, target.heightPx);
  const resampler = new Resampler(memory);
  if (isAcross && !isTallFor(source, target)) {
    const narrow = resampler.acrossFrom(pixels, source, target.widthPx, acrossTaps);
    return isDown ? resampler.down(narrow, target.heightPx, downTaps) : narrow;
  }
  const low = resampler.down(resampler.load(pixels, source), target.heightPx, downTaps);
  return isAcross ? resampler.across(low, target.widthPx, acrossTaps) : low;
}

/**
 * The most pixels that a picture has on its way from one size to another, at 3 bytes each: the source's, or those
 * between the passes, of one side from each size.
 */
export function pixelsOnTheWay(source: Size, target: Size): number {
  const pixels = source.widthPx * source.heightPx;
  return isTallFor(source, target)
    ? Math.max(pixels, source.heightPx * LEAST_ROW_PX)
    : Math.max(pixels, target.widthPx * source.heightPx);
}

function isTallFor(source: Size, target: Size): boolean {
  return source.heightPx > source.widthPx * TALL && target.heightPx < source.heightPx;
}
