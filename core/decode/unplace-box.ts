import { placementOf, type Size } from '#core/geometry.ts';
import type { PreprocessSpec } from '#core/preprocess-spec.ts';

/** A box in pixels of the upright original: 0 ≤ left ≤ right ≤ width, 0 ≤ top ≤ bottom ≤ height. */
export interface Box {
  readonly leftPx: number;
  readonly topPx: number;
  readonly rightPx: number;
  readonly bottomPx: number;
}

/**
 * Takes boxes from the pixels of a model's input back to those of the upright original of `source` pixels: the
 * inverse of {@link placementOf}, cut off at the edges of the original.
 */
export function unplacer(
  source: Size,
  spec: PreprocessSpec,
): (left: number, top: number, right: number, bottom: number) => Box {
  const { scaled, crop, leftPx, topPx } = placementOf(source, spec);
  const x = axis(source.widthPx, scaled.widthPx, crop.leftPx - leftPx);
  const y = axis(source.heightPx, scaled.heightPx, crop.topPx - topPx);
  return (left, top, right, bottom) => ({
    leftPx: x(left),
    topPx: y(top),
    rightPx: x(right),
    bottomPx: y(bottom),
  });
}

function axis(sourcePx: number, scaledPx: number, shiftPx: number): (value: number) => number {
  const scale = sourcePx / scaledPx;
  return (value) => Math.min(sourcePx, Math.max(0, (value + shiftPx) * scale));
}
