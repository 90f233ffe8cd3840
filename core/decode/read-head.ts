import type { Size } from '#core/geometry.ts';
import type { Detector, DetectorHead } from '#core/model-manifest.ts';
import { anchorCandidates, classAt } from './anchor-rows.ts';
import type { Candidates } from './candidates.ts';
import { readBox, ssdCandidates } from './ssd-head.ts';
import { floatOutput, type Outputs, unusable } from './usable-output.ts';
import { yoloV5Candidates, yoloV8Candidates, yoloxAnchors, yoloxCandidates } from './yolo-head.ts';

type ReadHead = (image: number, into: Candidates) => void;
type PartsHead = Extract<DetectorHead, { kind: 'nms-parts' }>;

/**
 * Checks the outputs of a batch against the detector's head, and gives what reads the candidates of one image.
 *
 * @param input size of the model's input in pixels.
 * @throws SluiceError `engine-failed` where an output has another shape.
 */
export function headReader(outputs: Outputs, detector: Detector, input: Size, images: number): ReadHead {
  const { head, minScore, labels } = detector;
  const classes = labels.length;
  switch (head.kind) {
    case 'yolo-v5':
    case 'yolox': {
      const columns = 5 + classes;
      const anchors = head.kind === 'yolox' ? yoloxAnchors(input, head.stridesPx) : undefined;
      const { data, rest } = floatOutput(
        outputs,
        head.output,
        images,
        `${anchors ?? 'A'}, ${columns}`,
        ([a, b, ...more]) => b === columns && more.length === 0 && (anchors === undefined || a === anchors),
      );
      const image = rowsOf(data, rest);
      return head.kind === 'yolox'
        ? (i, into) => yoloxCandidates(image(i), classes, input, head.stridesPx, minScore, into)
        : (i, into) => yoloV5Candidates(image(i), classes, minScore, into);
    }
    case 'yolo-v8': {
      const rows = 4 + classes;
      const { data, rest } = floatOutput(
        outputs,
        head.output,
        images,
        `${rows}, A`,
        ([a, ...more]) => a === rows && more.length === 1,
      );
      const image = rowsOf(data, rest);
      return (i, into) => yoloV8Candidates(image(i), classes, minScore, into);
    }
    case 'anchors': {
      const { stridesPx } = head;
      const anchors = stridesPx && yoloxAnchors(input, stridesPx);
      const { data, rest } = floatOutput(
        outputs,
        head.output,
        images,
        `${anchors ?? 'A'}, 6`,
        ([a, b, ...more]) => b === 6 && more.length === 0 && (anchors === undefined || a === anchors),
      );
      const image = rowsOf(data, rest);
      return (i, into) => anchorCandidates(image(i), classes, input, stridesPx, minScore, into);
    }
    case 'ssd': {
      const columns = classes + (head.background === null ? 0 : 1);
      const scores = floatOutput(
        outputs,
        head.scores,
        images,
        `A, ${columns}`,
        (rest) => rest.length === 2 && rest[1] === columns,
      );
      const boxes = boxesOutput(outputs, head.boxes, images, scores.rest[0] as number);
      const scoresOf = rowsOf(scores.data, scores.rest);
      return (i, into) => ssdCandidates(scoresOf(i), boxes(i), columns, head, input, minScore, into);
    }
    case 'nms-rows': {
      const { data, rest } = floatOutput(
        outputs,
        head.output,
        images,
        'K, 6',
        ([, b, ...more]) => b === 6 && more.length === 0,
      );
      const image = rowsOf(data, rest);
      return (i, into) => {
        const rows = image(i);
        for (let at = 0; at < rows.length; at += 6) {
          const score = rows[at + 4] as number;
          if (Number.isNaN(score)) throw unusable('a score is NaN');
          if (score < minScore) continue;
          into.add(
            rows[at]!,
            rows[at + 1]!,
            rows[at + 2]!,
            rows[at + 3]!,
            score,
            classAt(rows[at + 5]!, 0, classes),
          );
        }
      };
    }
    case 'nms-parts':
      return partsReader(outputs, head, minScore, classes, input, images);
  }
}

function partsReader(
  outputs: Outputs,
  head: PartsHead,
  minScore: number,
  classes: number,
  input: Size,
  images: number,
): ReadHead {
  const scores = floatOutput(outputs, head.scores, images, 'K', (rest) => rest.length === 1);
  const slots = scores.rest[0] as number;
  const boxes = boxesOutput(outputs, head.boxes, images, slots);
  const isPerSlot = (rest: readonly number[]): boolean => rest.length === 1 && rest[0] === slots;
  const labels = floatOutput(outputs, head.classes, images, String(slots), isPerSlot);
  const counts =
    head.count === null
      ? undefined
      : floatOutput(outputs, head.count, images, '1', (rest) => rest.every((n) => n === 1));
  const box = new Float64Array(4);
  return (i, into) => {
    const count = counts === undefined ? slots : Math.min(slots, counts.data[i] as number);
    if (Number.isNaN(count)) throw unusable('the number of boxes is NaN');
    const boxesOfImage = boxes(i);
    for (let k = 0; k < count; k++) {
      const score = scores.data[i * slots + k] as number;
      if (Number.isNaN(score)) throw unusable('a score is NaN');
      if (score < minScore) continue;
      readBox(boxesOfImage, k, head, input, box);
      const label = classAt(labels.data[i * slots + k] as number, head.firstClass, classes);
      into.add(box[0]!, box[1]!, box[2]!, box[3]!, score, label);
    }
  };
}

function boxesOutput(
  outputs: Outputs,
  name: string,
  images: number,
  anchors: number,
): (image: number) => Float32Array {
  const { data, rest } = floatOutput(
    outputs,
    name,
    images,
    `${anchors}, 4`,
    ([a, b, ...more]) => a === anchors && b === 4 && more.every((n) => n === 1),
  );
  return rowsOf(data, rest);
}

function rowsOf(data: Float32Array, rest: readonly number[]): (image: number) => Float32Array {
  const perImage = rest.reduce((a, b) => a * b, 1);
  return (image) => data.subarray(image * perImage, (image + 1) * perImage);
}
