import { describe, expect, it } from 'vitest';
import { detect, detectionScores } from '#core/decode/detection.ts';
import type { Detector, DetectorHead } from '#core/model-manifest.ts';
import type { Tensor } from '#core/ports/engine.ts';
import { PreprocessSpec } from '#core/preprocess-spec.ts';

const spec = PreprocessSpec.parse({
  widthPx: 64,
  heightPx: 64,
  resize: { mode: 'squash' },
  kernel: 'linear',
  color: 'srgb',
  background: [0, 0, 0],
});
const source = { widthPx: 64, heightPx: 64 };

function detector(head: DetectorHead, changes: Partial<Detector> = {}): Detector {
  return { head, labels: ['cat', 'dog'], minScore: 0.25, maxOverlap: 0.5, maxDetections: 10, ...changes };
}

function tensor(shape: number[], data: readonly number[]): Tensor {
  return { dtype: 'float32', shape, data: Float32Array.from(data) };
}

/** What was found, with whole pixels. */
function found(outputs: Record<string, Tensor>, of: Detector, images = 1) {
  const results = detect(outputs, of, spec, Array<typeof source>(images).fill(source));
  return results.map((detections) =>
    detections.map(({ label, score, box }) => [
      label,
      Number(score.toFixed(3)),
      [box.leftPx, box.topPx, box.rightPx, box.bottomPx].map((px) => Math.round(px * 10) / 10),
    ]),
  );
}

const yoloV5 = detector({ kind: 'yolo-v5', output: 'y' });
const v5Row = (x: number, y: number, w: number, h: number, objectness: number, cat: number, dog: number) => [
  x,
  y,
  w,
  h,
  objectness,
  cat,
  dog,
];

describe('a YOLOv5 head', () => {
  it('gives centre boxes, with objectness times the best class as score', () => {
    const data = [...v5Row(20, 30, 10, 20, 0.8, 0.1, 0.9), ...v5Row(50, 50, 4, 4, 0.1, 0.9, 0.9)];
    expect(found({ y: tensor([1, 2, 7], data) }, yoloV5)).toEqual([[['dog', 0.72, [15, 20, 25, 40]]]]);
  });

  it('suppresses overlapping boxes within a class only', () => {
    const data = [
      ...v5Row(20, 20, 20, 20, 0.9, 1, 0),
      ...v5Row(21, 20, 20, 20, 0.8, 1, 0),
      ...v5Row(21, 20, 20, 20, 0.7, 0, 1),
      ...v5Row(50, 20, 20, 20, 0.6, 1, 0),
    ];
    const [boxes] = found({ y: tensor([1, 4, 7], data) }, yoloV5);
    expect(boxes?.map(([label, score]) => [label, score])).toEqual([
      ['cat', 0.9],
      ['dog', 0.7],
      ['cat', 0.6],
    ]);
  });

  it('keeps the best so many', () => {
    const data = [0.3, 0.9, 0.5].flatMap((score, i) => v5Row(10 + 20 * i, 10, 5, 5, score, 1, 0));
    const [boxes] = found({ y: tensor([1, 3, 7], data) }, { ...yoloV5, maxDetections: 2 });
    expect(boxes?.map(([, score]) => score)).toEqual([0.9, 0.5]);
  });

  it('keeps the images of a batch apart', () => {
    const data = [...v5Row(20, 30, 10, 20, 1, 1, 0), ...v5Row(40, 30, 10, 20, 1, 0, 1)];
    expect(found({ y: tensor([2, 1, 7], data) }, yoloV5, 2)).toEqual([
      [['cat', 1, [15, 20, 25, 40]]],
      [['dog', 1, [35, 20, 45, 40]]],
    ]);
  });

  it.each([
    [4, 'objectness'],
    [6, 'a class score'],
    [0, 'a coordinate of a box'],
  ])('refuses NaN at place %i, %s', (at) => {
    const data = v5Row(20, 30, 10, 20, 0.8, 0.1, 0.9);
    data[at] = Number.NaN;
    expect(() => found({ y: tensor([1, 1, 7], data) }, yoloV5)).toThrow(/no usable scores/);
  });

  it('refuses an output for another number of labels', () => {
    expect(() => found({ y: tensor([1, 1, 8], Array(8).fill(0)) }, yoloV5)).toThrow(/expected output "y"/);
  });
});

describe('a YOLOv8 head', () => {
  const head = detector({ kind: 'yolo-v8', output: 'y' });

  it('is read across, without objectness', () => {
    const rows = [
      [20, 50, 10],
      [30, 50, 10],
      [10, 4, 2],
      [20, 4, 2],
      [0.1, 0.6, 0.2],
      [0.9, 0.5, 0.1],
    ];
    expect(found({ y: tensor([1, 6, 3], rows.flat()) }, head)).toEqual([
      [
        ['dog', 0.9, [15, 20, 25, 40]],
        ['cat', 0.6, [48, 48, 52, 52]],
      ],
    ]);
  });

  it.each([4, 5])('refuses NaN in row %i', (row) => {
    const data = [20, 30, 10, 20, 0.1, 0.9];
    data[row] = Number.NaN;
    expect(() => found({ y: tensor([1, 6, 1], data) }, head)).toThrow(/no usable scores/);
  });
});

describe('a YOLOX head', () => {
  it('decodes boxes relative to their cell, grid after grid', () => {
    // 64 px: 4 cells of 32 px, then 1 of 64 px.
    const head = detector({ kind: 'yolox', output: 'y', stridesPx: [32, 64] });
    const rows = Array.from({ length: 5 }, () => v5Row(0, 0, 0, 0, 0, 0, 0));
    rows[3] = v5Row(0.5, 0.25, Math.log(0.5), Math.log(0.25), 1, 0.5, 0.25);
    rows[4] = v5Row(0.5, 0.5, 0, Math.log(0.5), 1, 0, 1);
    expect(found({ y: tensor([1, 5, 7], rows.flat()) }, head)).toEqual([
      [
        ['dog', 1, [0, 16, 64, 48]],
        ['cat', 0.5, [40, 36, 56, 44]],
      ],
    ]);
  });
});

describe('an SSD-style head', () => {
  const head: DetectorHead = {
    kind: 'ssd',
    scores: 's',
    boxes: 'b',
    activation: 'none',
    background: 0,
    boxFormat: 'xyxy',
    boxUnit: 'normalized',
  };
  const boxes = tensor([1, 2, 4], [0.25, 0.5, 0.5, 1, 0, 0, 0.1, 0.1]);

  it('skips the background and scales shares of the input', () => {
    const scores = tensor([1, 2, 3], [0.1, 0.2, 0.7, 0.98, 0.01, 0.01]);
    expect(found({ s: scores, b: boxes }, detector(head))).toEqual([[['dog', 0.7, [16, 32, 32, 64]]]]);
  });

  it('applies softmax over all columns, or sigmoid to each', () => {
    const scores = tensor([1, 2, 3], [0, 0, 2, 9, 0, 0]);
    const e2 = Math.E ** 2;
    const soft = found({ s: scores, b: boxes }, detector({ ...head, activation: 'softmax' }));
    expect(soft).toEqual([[['dog', Number((e2 / (e2 + 2)).toFixed(3)), [16, 32, 32, 64]]]]);
    const columns = tensor([1, 2, 2], [-9, 2, -9, -9]);
    const each = found(
      { s: columns, b: boxes },
      detector({ ...head, activation: 'sigmoid', background: null }),
    );
    expect(each).toEqual([[['dog', Number((1 / (1 + 1 / e2)).toFixed(3)), [16, 32, 32, 64]]]]);
  });

  it.each([
    ['yxyx', [0.5, 0.25, 1, 0.5]],
    ['cxcywh', [0.375, 0.75, 0.25, 0.5]],
  ] as const)('reads boxes as %s', (boxFormat, box) => {
    const outputs = { s: tensor([1, 1, 3], [0, 0, 1]), b: tensor([1, 1, 4], box) };
    expect(found(outputs, detector({ ...head, boxFormat }))).toEqual([[['dog', 1, [16, 32, 32, 64]]]]);
  });
});

describe('a head with NMS inside', () => {
  it('gives rows of corners, score and class, and empty rows', () => {
    const data = [15, 20, 25, 40, 0.9, 1, 15, 20, 25, 40, 0.8, 1, 0, 0, 0, 0, 0, 0];
    // Both boxes stay: what the model kept is not suppressed a second time.
    expect(found({ y: tensor([1, 3, 6], data) }, detector({ kind: 'nms-rows', output: 'y' }))).toEqual([
      [
        ['dog', 0.9, [15, 20, 25, 40]],
        ['dog', 0.8, [15, 20, 25, 40]],
      ],
    ]);
  });

  it('refuses a class without a label', () => {
    const outputs = { y: tensor([1, 1, 6], [0, 0, 1, 1, 0.9, 2]) };
    expect(() => found(outputs, detector({ kind: 'nms-rows', output: 'y' }))).toThrow(
      /class from 0 to 1, got 2/,
    );
  });

  it('gives parts, of which only the first so many count', () => {
    const head: DetectorHead = {
      kind: 'nms-parts',
      boxes: 'b',
      scores: 's',
      classes: 'c',
      count: 'n',
      firstClass: 1,
      boxFormat: 'yxyx',
      boxUnit: 'normalized',
    };
    const outputs = {
      b: tensor([1, 2, 4], [0.5, 0.25, 1, 0.5, 0, 0, 1, 1]),
      s: tensor([1, 2], [0.9, 0.8]),
      c: tensor([1, 2], [2, 1]),
      n: tensor([1], [1]),
    };
    expect(found(outputs, detector(head))).toEqual([[['dog', 0.9, [16, 32, 32, 64]]]]);
  });
});

describe('the scores of a detector', () => {
  it('are the best of each label, 0 where there is none, and how many there are', () => {
    const box = { leftPx: 0, topPx: 0, rightPx: 1, bottomPx: 1 };
    const detections = [0.5, 0.75].map((score) => ({ label: 'cat', score, box }));
    expect(detectionScores(detections, ['cat', 'dog'])).toEqual({ cat_max: 0.75, dog_max: 0, detections: 2 });
  });
});
