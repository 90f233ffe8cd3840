import type { Size } from '#core/geometry.ts';
import type { DetectorHead } from '#core/model-manifest.ts';
import type { Candidates } from './candidates.ts';
import { sigmoid, softmax } from './classification.ts';
import { unusable } from './usable-output.ts';

type SsdHead = Extract<DetectorHead, { kind: 'ssd' }>;
type BoxHead = Pick<SsdHead, 'boxFormat' | 'boxUnit'>;

/**
 * One image of an SSD-style head: `scores` `[anchors, columns]` and decoded `boxes` `[anchors, 4]`. Every class of an
 * anchor is a candidate of its own, as in Liu et al., "SSD: Single Shot MultiBox Detector" (2016), section 2.2, and
 * in UltraFace (Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB, vision/ssd/predictor.py).
 */
export function ssdCandidates(
  scores: Float32Array,
  boxes: Float32Array,
  columns: number,
  head: SsdHead,
  input: Size,
  minScore: number,
  into: Candidates,
): void {
  const row = new Float64Array(columns);
  const box = new Float64Array(4);
  const anchors = scores.length / columns;
  for (let anchor = 0; anchor < anchors; anchor++) {
    for (let column = 0; column < columns; column++) {
      const score = scores[anchor * columns + column] as number;
      if (!Number.isFinite(score)) throw unusable(`a score is ${score}`);
      row[column] = head.activation === 'sigmoid' ? sigmoid(score) : score;
    }
    if (head.activation === 'softmax') softmax(row);
    for (let column = 0, label = 0; column < columns; column++) {
      if (column === head.background) continue;
      const score = row[column] as number;
      if (score >= minScore) {
        readBox(boxes, anchor, head, input, box);
        into.add(box[0]!, box[1]!, box[2]!, box[3]!, score, label);
      }
      label++;
    }
  }
}

/** Box number `index` as left, top, right, bottom in input pixels. */
export function readBox(
  boxes: Float32Array,
  index: number,
  { boxFormat, boxUnit }: BoxHead,
  input: Size,
  into: Float64Array,
): void {
  const a = boxes[4 * index] as number;
  const b = boxes[4 * index + 1] as number;
  const c = boxes[4 * index + 2] as number;
  const d = boxes[4 * index + 3] as number;
  if (boxFormat === 'xyxy') into.set([a, b, c, d]);
  else if (boxFormat === 'yxyx') into.set([b, a, d, c]);
  else into.set([a - c / 2, b - d / 2, a + c / 2, b + d / 2]);
  if (boxUnit === 'pixels') return;
  into[0]! *= input.widthPx;
  into[1]! *= input.heightPx;
  into[2]! *= input.widthPx;
  into[3]! *= input.heightPx;
}
