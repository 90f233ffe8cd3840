import type { Size } from '#core/geometry.ts';
import type { Candidates } from './candidates.ts';
import { unusable } from './usable-output.ts';

/**
 * One image of a YOLOv5 head: `[anchors, 5 + classes]`, decoded boxes in input pixels.
 *
 * The score is objectness · class score, for the best class of each anchor.
 * Source: ultralytics/yolov5, utils/general.py, `non_max_suppression`.
 */
export function yoloV5Candidates(
  rows: Float32Array,
  classes: number,
  minScore: number,
  into: Candidates,
): void {
  const stride = 5 + classes;
  for (let at = 0; at < rows.length; at += stride) {
    const { score, best } = bestOfRow(rows, at, classes);
    if (score < minScore) continue;
    addCentered(into, rows, at, score, best);
  }
}

/**
 * One image of a YOLOX head: `[anchors, 5 + classes]`, where each box is relative to its cell: centre =
 * (value + cell) · stride, side = e^value · stride; the grids follow one another, each row by row.
 *
 * Source: Megvii-BaseDetection/YOLOX, yolox/utils/demo_utils.py, `demo_postprocess`.
 */
export function yoloxCandidates(
  rows: Float32Array,
  classes: number,
  input: Size,
  stridesPx: readonly number[],
  minScore: number,
  into: Candidates,
): void {
  const width = 5 + classes;
  let at = 0;
  for (const stridePx of stridesPx) {
    const columns = Math.floor(input.widthPx / stridePx);
    const cells = columns * Math.floor(input.heightPx / stridePx);
    for (let cell = 0; cell < cells; cell++, at += width) {
      const { score, best } = bestOfRow(rows, at, classes);
      if (score >= minScore) addFromCell(into, rows, at, cell, columns, stridePx, score, best);
    }
  }
}

/** Adds a box that is relative to its cell: see {@link yoloxCandidates}. */
export function addFromCell(
  into: Candidates,
  rows: Float32Array,
  at: number,
  cell: number,
  columns: number,
  stridePx: number,
  score: number,
  classIndex: number,
): void {
  const x = ((rows[at] as number) + (cell % columns)) * stridePx;
  const y = ((rows[at + 1] as number) + Math.floor(cell / columns)) * stridePx;
  const halfWidth = (Math.exp(rows[at + 2] as number) * stridePx) / 2;
  const halfHeight = (Math.exp(rows[at + 3] as number) * stridePx) / 2;
  into.add(x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight, score, classIndex);
}

/** How many anchors a YOLOX head has for an input. */
export function yoloxAnchors(input: Size, stridesPx: readonly number[]): number {
  return stridesPx.reduce(
    (sum, stridePx) => sum + Math.floor(input.widthPx / stridePx) * Math.floor(input.heightPx / stridePx),
    0,
  );
}

/**
 * One image of a YOLOv8 head, which YOLO11 shares: `[4 + classes, anchors]`, boxes in input pixels, no objectness.
 *
 * Read class by class, as it lies in memory.
 * Source: ultralytics/ultralytics, ultralytics/utils/nms.py, `non_max_suppression`.
 */
export function yoloV8Candidates(
  columns: Float32Array,
  classes: number,
  minScore: number,
  into: Candidates,
): void {
  const anchors = columns.length / (4 + classes);
  const best = columns.slice(4 * anchors, 5 * anchors);
  const bestClass = new Int32Array(anchors);
  for (let anchor = 0; anchor < anchors; anchor++) checkScore(best[anchor] as number);
  for (let index = 1; index < classes; index++) {
    const from = (4 + index) * anchors;
    for (let anchor = 0; anchor < anchors; anchor++) {
      const score = columns[from + anchor] as number;
      if (score > (best[anchor] as number)) {
        best[anchor] = score;
        bestClass[anchor] = index;
      } else if (Number.isNaN(score)) checkScore(score);
    }
  }
  for (let anchor = 0; anchor < anchors; anchor++) {
    const score = best[anchor] as number;
    if (score < minScore) continue;
    const x = columns[anchor] as number;
    const y = columns[anchors + anchor] as number;
    const halfWidth = (columns[2 * anchors + anchor] as number) / 2;
    const halfHeight = (columns[3 * anchors + anchor] as number) / 2;
    into.add(
      x - halfWidth,
      y - halfHeight,
      x + halfWidth,
      y + halfHeight,
      score,
      bestClass[anchor] as number,
    );
  }
}

function bestOfRow(rows: Float32Array, at: number, classes: number): { score: number; best: number } {
  const objectness = rows[at + 4] as number;
  checkScore(objectness);
  let best = 0;
  let score = -Infinity;
  for (let index = 0; index < classes; index++) {
    const value = rows[at + 5 + index] as number;
    if (value > score) {
      score = value;
      best = index;
    } else if (Number.isNaN(value)) checkScore(value);
  }
  return { score: score * objectness, best };
}

/** Adds a box that is given by its centre and its sides. */
export function addCentered(
  into: Candidates,
  rows: Float32Array,
  at: number,
  score: number,
  best: number,
): void {
  const x = rows[at] as number;
  const y = rows[at + 1] as number;
  const halfWidth = (rows[at + 2] as number) / 2;
  const halfHeight = (rows[at + 3] as number) / 2;
  into.add(x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight, score, best);
}

/** @throws SluiceError `engine-failed` */
export function checkScore(score: number): void {
  if (!Number.isFinite(score)) throw unusable(`a score is ${score}`);
}
