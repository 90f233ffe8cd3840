import { PIXEL_TOLERANCES } from '#core/image/pixel-difference.ts';

/** Beyond these a model is not what it was in training. */
export interface Tolerances {
  /** Mean difference of an image's pixels, in levels. */
  readonly maxPixelMean: number;
  /** 99th percentile of the same. */
  readonly maxPixelP99: number;
  readonly maxScoreDifference: number;
  /** Intersection over union of the boxes of an object, 0–1. */
  readonly minBoxOverlap: number;
  /** Share of images whose best label is the same, 0–1. */
  readonly minTop1: number;
}

export const DEFAULT_TOLERANCES: Tolerances = {
  maxPixelMean: PIXEL_TOLERANCES.maxMean,
  maxPixelP99: PIXEL_TOLERANCES.maxP99,
  maxScoreDifference: 0.02,
  minBoxOverlap: 0.75,
  minTop1: 1,
};
