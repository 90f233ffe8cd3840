import type { Candidates } from './candidates.ts';

/**
 * Non-maximum suppression within each class: of two boxes whose intersection over union is greater than
 * `maxOverlap`, the one with the lower score goes.
 *
 * Greedy, best first, as in torchvision's `batched_nms` (torchvision/ops/boxes.py) and in YOLO's
 * `non_max_suppression`. Equal scores keep the order of the candidates, so equal input gives equal output.
 *
 * @returns indices of at most `maxDetections` candidates, the best first.
 */
export function bestCandidates(
  candidates: Candidates,
  maxOverlap: number,
  maxDetections: number,
): readonly number[] {
  const { boxes, scores, classes, length } = candidates;
  const order = Array.from({ length }, (_, i) => i).sort(
    (a, b) => (scores[b] as number) - (scores[a] as number) || a - b,
  );
  const kept: number[] = [];
  for (const i of order) {
    if (kept.length === maxDetections) break;
    if (!kept.some((k) => classes[k] === classes[i] && overlap(boxes, k, i) > maxOverlap)) kept.push(i);
  }
  return kept;
}

/** Intersection over union of two boxes, 0–1; 0 where both are empty. */
function overlap(boxes: Float32Array, a: number, b: number): number {
  const at = (box: number, side: number): number => boxes[4 * box + side] as number;
  const width = Math.min(at(a, 2), at(b, 2)) - Math.max(at(a, 0), at(b, 0));
  const height = Math.min(at(a, 3), at(b, 3)) - Math.max(at(a, 1), at(b, 1));
  if (width <= 0 || height <= 0) return 0;
  const area = (box: number): number => (at(box, 2) - at(box, 0)) * (at(box, 3) - at(box, 1));
  const intersection = width * height;
  return intersection / (area(a) + area(b) - intersection);
}
