import { findEdges, type GrayImage, histogramOf, type RgbImage, resizeAsPillow, toLuma } from './pillow.ts';

/** What CleanVision 0.3.7 measures of one image, at full resolution, and what `quality` adds to it. */
export interface ReferenceScores {
  /** 99th percentile of the brightness, 0–1. */
  readonly dark: number;
  /** 5th percentile of the brightness, 0–1. */
  readonly bright: number;
  /** Entropy of the three band histograms as one, in bits. */
  readonly information: number;
  /** 0 (blurred) to 1. */
  readonly blur: number;
  /** Largest step over 1 px as a share of the largest over 4 px, in the luma at 64 px. Not in CleanVision. */
  readonly sharpness: number;
  /** Mean of max(R, G, B) − min(R, G, B), in levels. CleanVision looks at the file's color mode instead. */
  readonly chroma: number;
}

export const REFERENCE_CHECKS = ['dark', 'bright', 'blurry', 'low_information', 'grayscale'] as const;
export type ReferenceCheck = (typeof REFERENCE_CHECKS)[number];

/** Written from the definitions, with nothing of the product's code, so that the two can be compared. */
export function referenceScores(image: RgbImage): ReferenceScores {
  const { widthPx, heightPx, data } = image;
  const pixels = widthPx * heightPx;
  const brightness = new Float32Array(pixels);
  let spread = 0;
  for (let i = 0; i < pixels; i++) {
    const r = data[3 * i]!;
    const g = data[3 * i + 1]!;
    const b = data[3 * i + 2]!;
    brightness[i] = Math.sqrt(0.241 * r * r + 0.691 * g * g + 0.068 * b * b) / 255;
    spread += Math.max(r, g, b) - Math.min(r, g, b);
  }
  brightness.sort();
  const luma = smallLumaOf(image);
  return {
    dark: percentileOfSorted(brightness, 0.99),
    bright: percentileOfSorted(brightness, 0.05),
    information: entropyOf(data),
    blur: blurScore(luma),
    sharpness: sharpnessOf(luma),
    chroma: spread / pixels,
  };
}

/** The reference flags: CleanVision's thresholds; for grayscale a mean chroma of less than 1.5 levels. */
export function referenceFlags(scores: ReferenceScores): Record<ReferenceCheck, boolean> {
  return {
    dark: scores.dark < 0.32,
    bright: scores.bright > 0.95,
    blurry: scores.blur < 0.29,
    low_information: scores.information < 3,
    grayscale: scores.chroma < 1.5,
  };
}

function smallLumaOf(image: RgbImage): GrayImage {
  return toLuma(resizeAsPillow(image, cleanVisionBlurSize(image)));
}

/** The size at which blur is looked at. */
export function cleanVisionBlurSize({
  widthPx,
  heightPx,
}: {
  readonly widthPx: number;
  readonly heightPx: number;
}): { widthPx: number; heightPx: number } {
  const longer = Math.max(widthPx, heightPx);
  if (longer <= 64) return { widthPx, heightPx };
  const shrunk = (side: number): number => Math.max(Math.floor((side * 64) / longer), 1);
  return { widthPx: shrunk(widthPx), heightPx: shrunk(heightPx) };
}

function blurScore(luma: GrayImage): number {
  return blurOf(edgeScore(luma), toneScore(luma));
}

/** Tone spreads up to 0.18 count as 0. */
function blurOf(u: number, v: number): number {
  return Math.min(u + (v <= 0.18 ? 0 : v), 1);
}

function edgeScore(luma: GrayImage): number {
  return 1 - Math.exp(-0.01 * standardDeviation(findEdges(luma).data));
}

function toneScore(luma: GrayImage): number {
  return 1 - Math.exp(-0.01 * standardDeviation(histogramOf(luma.data)));
}

function sharpnessOf(luma: GrayImage): number {
  return shareOfStep(largestStep(luma, 1), largestStep(luma, 4));
}

function shareOfStep(narrow: number, wide: number): number {
  return narrow / (Math.max(narrow, wide) + 4);
}

/** The least and the greatest value that a score may have. */
export type Bounds = readonly [least: number, greatest: number];

/**
 * Within which bounds two right answers for one 64 px picture may differ, because single pixels of it lie
 * between two levels and are rounded either way. The two steps that decide the sharpness are one level larger or
 * smaller then. The two halves of the blur score hardly change, but the tone spread may come to lie on the other side of 0.18.
 */
export function roundingBounds(luma: GrayImage): { readonly blur: Bounds; readonly sharpness: Bounds } {
  const u = edgeScore(luma);
  const v = toneScore(luma);
  const slack = 1e-3;
  const narrow = largestStep(luma, 1);
  const wide = largestStep(luma, 4);
  return {
    blur: [blurOf(u - slack, v - slack), blurOf(u + slack, v + slack)],
    sharpness: [
      shareOfStep(Math.max(narrow - 1, 0), wide + 1),
      shareOfStep(narrow + 1, Math.max(wide - 1, 0)),
    ],
  };
}

function largestStep({ widthPx, heightPx, data }: GrayImage, distance: number): number {
  let largest = 0;
  for (let y = 0; y < heightPx; y++) {
    for (let x = 0; x < widthPx; x++) {
      const level = data[y * widthPx + x]!;
      if (x + distance < widthPx) {
        largest = Math.max(largest, Math.abs(data[y * widthPx + x + distance]! - level));
      }
      if (y + distance < heightPx) {
        largest = Math.max(largest, Math.abs(data[(y + distance) * widthPx + x]! - level));
      }
    }
  }
  return largest;
}

/** numpy.percentile with its default, linear interpolation. */
function percentileOfSorted(sorted: Float32Array, quantile: number): number {
  const position = (sorted.length - 1) * quantile;
  const low = Math.floor(position);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low]! + (sorted[high]! - sorted[low]!) * (position - low);
}

function entropyOf(data: Uint8Array): number {
  const counts = new Float64Array(768);
  for (let i = 0; i < data.length; i++) counts[(i % 3) * 256 + data[i]!]! += 1;
  let bits = 0;
  for (const count of counts) {
    if (count > 0) bits -= (count / data.length) * Math.log2(count / data.length);
  }
  return bits;
}

function standardDeviation(values: ArrayLike<number>): number {
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < values.length; i++) {
    sum += values[i]!;
    squares += values[i]! ** 2;
  }
  const mean = sum / values.length;
  return Math.sqrt(Math.max(squares / values.length - mean * mean, 0));
}
