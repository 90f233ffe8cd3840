import type { Size } from '#core/geometry.ts';
import type { Candidates } from './candidates.ts';
import { unusable } from './usable-output.ts';
import { addCentered, addFromCell, checkScore } from './yolo-head.ts';

const COLUMNS = 6;

/**
 * One image of anchors whose best class was picked in the graph: `[anchors, 6]`, centre x, centre y, width, height,
 * score, class.
 *
 * @param stridesPx of the grids to whose cells the boxes are relative; `undefined` where they are in input pixels.
 */
export function anchorCandidates(
  rows: Float32Array,
  classes: number,
  input: Size,
  stridesPx: readonly number[] | undefined,
  minScore: number,
  into: Candidates,
): void {
  const each = (from: number, to: number, add: (at: number, score: number, index: number) => void): void => {
    for (let at = from; at < to; at += COLUMNS) {
      const score = rows[at + 4] as number;
      if (score >= minScore) add(at, score, classAt(rows[at + 5] as number, 0, classes));
      else if (Number.isNaN(score)) checkScore(score);
    }
  };
  if (stridesPx === undefined) {
    each(0, rows.length, (at, score, index) => addCentered(into, rows, at, score, index));
    return;
  }
  let from = 0;
  for (const stridePx of stridesPx) {
    const columns = Math.floor(input.widthPx / stridePx);
    const to = from + columns * Math.floor(input.heightPx / stridePx) * COLUMNS;
    const first = from;
    each(first, to, (at, score, index) =>
      addFromCell(into, rows, at, (at - first) / COLUMNS, columns, stridePx, score, index),
    );
    from = to;
  }
}

/** @throws SluiceError `engine-failed` where the model names a class that has no label. */
export function classAt(value: number, firstClass: number, classes: number): number {
  const index = value - firstClass;
  if (!Number.isInteger(index) || index < 0 || index >= classes)
    throw unusable(`expected a class from ${firstClass} to ${firstClass + classes - 1}, got ${value}`);
  return index;
}
