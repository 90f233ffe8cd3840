import { describe, expect, it } from 'vitest';
import { chooseOutputs, type TriedOutput } from '#models/import/choose-outputs.ts';
import type { Wishes } from '#models/import/wishes.ts';

const input = { widthPx: 640, heightPx: 640 };
const out = (name: string, shape: number[], activation: TriedOutput['activation'] = 'none'): TriedOutput => ({
  name,
  shape,
  activation,
});
const head = (outputs: TriedOutput[], wishes: Wishes = {}) =>
  chooseOutputs(outputs, wishes, input).detector?.head;
const EIGHTY = Array.from({ length: 80 }, (_, i) => `label ${i}`);

describe('the kind of a detector is told by shapes and names', () => {
  it.each([
    ['yolo-v5', [25200, 85]],
    ['yolo-v5', [25200, 6]],
    ['yolox', [8400, 85]],
    ['yolo-v8', [84, 8400]],
    ['yolo-v8', [5, 8400]],
  ])('%s has %j', (kind, shape) => {
    expect(head([out('y', shape)])).toMatchObject({ kind, output: 'y' });
  });

  it('YOLOX with a fourth grid has its strides', () => {
    expect(head([out('y', [8500, 85])])).toMatchObject({ kind: 'yolox', stridesPx: [8, 16, 32, 64] });
  });

  it('rows of six are boxes after NMS, whose labels have to be given', () => {
    expect(() => head([out('y', [300, 6])])).toThrow(/how many classes there are: pass --labels/);
    expect(head([out('y', [300, 6])], { labels: EIGHTY })).toEqual({ kind: 'nms-rows', output: 'y' });
  });

  it('scores beside boxes are an SSD-style head, with a background where one more column is', () => {
    const outputs = [out('scores', [4420, 2], 'softmax'), out('boxes', [4420, 4])];
    expect(head(outputs, { labels: ['face'] })).toMatchObject({
      kind: 'ssd',
      scores: 'scores',
      boxes: 'boxes',
      activation: 'none',
      background: 0,
    });
    expect(head(outputs, { labels: ['face', 'mask'] })).toMatchObject({ background: null });
    const logits = [out('loc', [100, 4]), out('conf', [100, 4])];
    expect(head(logits, { labels: ['a', 'b', 'c', 'd'] })).toMatchObject({
      scores: 'conf',
      boxes: 'loc',
      activation: 'sigmoid',
    });
  });

  it("the outputs of TensorFlow's Object Detection API are known by name", () => {
    const outputs = [
      out('detection_boxes', [100, 4]),
      out('detection_classes', [100]),
      out('detection_scores', [100]),
      out('num_detections', []),
    ];
    expect(head(outputs, { labels: EIGHTY })).toEqual({
      kind: 'nms-parts',
      boxes: 'detection_boxes',
      scores: 'detection_scores',
      classes: 'detection_classes',
      count: 'num_detections',
      firstClass: 1,
      boxFormat: 'yxyx',
      boxUnit: 'normalized',
    });
  });

  it('does not decode the boxes of YOLOX twice, where its export has them in pixels', () => {
    const head416 = (values: Float32Array, wishes: Wishes = {}) =>
      chooseOutputs([{ ...out('y', [3549, 85]), values }], wishes, { widthPx: 416, heightPx: 416 }).detector
        ?.head;
    const raw = new Float32Array(3549 * 85).fill(0.4);
    expect(head416(raw)).toMatchObject({ kind: 'yolox' });
    const decoded = raw.slice();
    let at = 0;
    for (const stridePx of [8, 16, 32])
      for (let cell = 0; cell < (416 / stridePx) ** 2; cell++, at += 85) {
        decoded[at] = (0.4 + (cell % (416 / stridePx))) * stridePx;
        decoded[at + 1] = (0.4 + Math.floor(cell / (416 / stridePx))) * stridePx;
      }
    expect(head416(decoded)).toMatchObject({ kind: 'yolo-v5' });
    expect(() => head416(decoded, { decode: 'yolox' })).toThrow(/in pixels already.*--output-decode yolo-v5/);
  });

  it('what is told wins over what the shape looks like', () => {
    expect(head([out('y', [8400, 85])], { decode: 'yolo-v5' })).toMatchObject({ kind: 'yolo-v5' });
    expect(() => head([out('y', [10])], { decode: 'yolox' })).toThrow(
      /no output fits --output-decode yolox; .* "y" \[N, 10\]/,
    );
  });
});

describe('the scores of a classifier', () => {
  it('are the output that has as many numbers as there are labels', () => {
    const outputs = [out('embedding', [768]), out('logits', [2])];
    expect(chooseOutputs(outputs, { labels: ['a', 'b'] }, input).outputs).toMatchObject([{ name: 'logits' }]);
    expect(() => chooseOutputs(outputs, {}, input)).toThrow(
      /several outputs may be the scores: "embedding" .* --output/,
    );
    expect(chooseOutputs(outputs, { output: 'logits' }, input).outputs).toMatchObject([{ name: 'logits' }]);
  });

  it('of one logit is the sigmoid of it', () => {
    expect(chooseOutputs([out('y', [1])], { labels: ['nsfw'] }, input).outputs).toMatchObject([
      { decode: 'sigmoid' },
    ]);
  });

  it('are kept for the best five of very many labels only', () => {
    const labels = Array.from({ length: 1000 }, (_, i) => `l${i}`);
    expect(chooseOutputs([out('y', [1000])], { labels }, input).outputs).toMatchObject([{ topK: 5 }]);
    expect(chooseOutputs([out('y', [1000])], { labels, topK: 1000 }, input).outputs).toMatchObject([
      { topK: 1000 },
    ]);
  });
});
