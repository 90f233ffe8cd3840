import type { Box } from './unplace-box.ts';

/** Intersection over union of two boxes, 0–1; 0 where either is empty or inside out. */
export function boxOverlap(a: Box, b: Box): number {
  const width = Math.min(a.rightPx, b.rightPx) - Math.max(a.leftPx, b.leftPx);
  const height = Math.min(a.bottomPx, b.bottomPx) - Math.max(a.topPx, b.topPx);
  if (!(width > 0 && height > 0)) return 0;
  const intersection = width * height;
  return intersection / (boxArea(a) + boxArea(b) - intersection);
}

/** In pixels; negative or a product of negatives where the box is inside out. */
function boxArea({ leftPx, topPx, rightPx, bottomPx }: Box): number {
  return (rightPx - leftPx) * (bottomPx - topPx);
}
