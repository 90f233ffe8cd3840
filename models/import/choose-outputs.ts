import { SluiceError } from '#core/error.ts';
import type { Size } from '#core/geometry.ts';
import {
  type Detector,
  type DetectorHead,
  headOutputs,
  type ModelManifest,
  type Reduced,
} from '#core/model-manifest.ts';
import { scoreNamesOf } from './labels.ts';
import type { Decode, Wishes } from './wishes.ts';

/** An output as a trial run gave it. */
export interface TriedOutput {
  readonly name: string;
  /** The shape after the batch dimension. */
  readonly shape: readonly number[];
  readonly activation: 'softmax' | 'sigmoid' | 'none';
  /** What it gave for one picture. */
  readonly values?: Float32Array | undefined;
}

/** What a manifest says of a model's outputs, and what was assumed on the way. */
export interface ChosenOutputs {
  readonly outputs: ModelManifest['outputs'];
  readonly detector: Detector | undefined;
  readonly notes: readonly string[];
}

/** Above so many labels an image keeps only its best ones. */
const MAX_SCORES = 100;
const TOP_K = 5;
/** The defaults of Ultralytics' predictor and of YOLOX's demo. */
const DETECTOR_DEFAULTS = { minScore: 0.25, maxOverlap: 0.45, maxDetections: 300 } as const;
const YOLO_STRIDES_PX: readonly number[] = [8, 16, 32];
/** With a fourth grid: the "P6" models. */
const P6_STRIDES_PX: readonly number[] = [8, 16, 32, 64];

/**
 * How to read the outputs of a model: by what was told, else by their shapes and names.
 *
 * @throws SluiceError `model-invalid` where neither tells.
 */
export function chooseOutputs(outputs: readonly TriedOutput[], wishes: Wishes, input: Size): ChosenOutputs {
  const { decode } = wishes;
  if (decode === 'scores' || decode === 'softmax' || decode === 'sigmoid')
    return classifier(outputs, wishes, decode);
  const head = headOf(outputs, wishes, input);
  if (head !== undefined) return detectorOf(head, outputs, wishes, input);
  if (decode !== undefined)
    throw invalid(`no output fits --output-decode ${decode}; the model gives ${described(outputs)}`);
  return classifier(outputs, wishes, undefined);
}

/** A head with a score for every class of every anchor, which leaves the graph with the best one only. */
export function reducible({ detector }: ChosenOutputs): Reduced | undefined {
  const head = detector?.head;
  if (head?.kind !== 'yolo-v5' && head?.kind !== 'yolo-v8' && head?.kind !== 'yolox') return undefined;
  return { kind: head.kind, output: head.output, classes: detector?.labels.length ?? 0 };
}

function classifier(
  outputs: readonly TriedOutput[],
  wishes: Wishes,
  told: 'scores' | 'softmax' | 'sigmoid' | undefined,
): ChosenOutputs {
  const notes: string[] = [];
  const output = scoresOutput(outputs, wishes);
  const columns = output.shape.reduce((a, b) => a * b, 1);
  const labels = labelsFor(columns, output, wishes, notes);
  let decode = told;
  if (decode === undefined) {
    decode = output.activation !== 'none' ? 'scores' : columns === 1 ? 'sigmoid' : 'softmax';
    if (decode !== 'scores')
      notes.push(
        `output "${output.name}" is taken for logits of ${decode === 'sigmoid' ? 'one label' : 'labels of which one is right (softmax)'}; --output-decode sigmoid or scores says otherwise`,
      );
  }
  const topK = wishes.topK ?? (columns > MAX_SCORES ? TOP_K : undefined);
  if (topK !== undefined && wishes.topK === undefined)
    notes.push(
      `of ${columns} scores only the ${TOP_K} highest of each image are kept; --top-k says otherwise`,
    );
  return {
    outputs: [{ name: output.name, decode, labels, ...(topK !== undefined && { topK }) }],
    detector: undefined,
    notes,
  };
}

function scoresOutput(outputs: readonly TriedOutput[], { output, labels }: Wishes): TriedOutput {
  const flat = outputs.filter(
    ({ name, shape }) =>
      (output === undefined || name === output) && shape.filter((length) => length !== 1).length <= 1,
  );
  const ofLabels = flat.filter(({ shape }) => shape.reduce((a, b) => a * b, 1) === labels?.length);
  const [first, ...others] = ofLabels.length > 0 ? ofLabels : flat;
  if (first !== undefined && others.length === 0) return first;
  throw invalid(
    first === undefined
      ? `expected an output [N, labels] with scores${output === undefined ? ', or a known kind of detector' : ` named "${output}"`}; the model gives ${described(outputs)}`
      : `several outputs may be the scores: ${described([first, ...others])}; say which with --output`,
  );
}

function labelsFor(columns: number, output: TriedOutput, { labels }: Wishes, notes: string[]): string[] {
  if (labels === undefined) {
    notes.push(
      `no labels were given: the scores are called class_0 to class_${columns - 1}; --labels names them`,
    );
    return Array.from({ length: columns }, (_, i) => `class_${i}`);
  }
  if (labels.length !== columns) {
    throw invalid(
      `output "${output.name}" gives ${columns} scores, but there are ${labels.length} labels: expected one label a score, in the order of training`,
    );
  }
  return scoreNamesOf(labels);
}

/** The kind of detector, by what was told or by shapes; `undefined` for what is none. */
function headOf(outputs: readonly TriedOutput[], wishes: Wishes, input: Size): DetectorHead | undefined {
  const told = wishes.decode;
  const byName = (pattern: RegExp): string | undefined =>
    outputs.find(({ name }) => pattern.test(name))?.name;
  const [boxes, scores, classes] = [byName(/boxes/i), byName(/scores/i), byName(/classes|labels/i)];
  if ((told === undefined || told === 'nms-parts') && boxes && scores && classes) {
    return {
      kind: 'nms-parts',
      boxes,
      scores,
      classes,
      count: byName(/num_?det/i) ?? null,
      // The names of TensorFlow's Object Detection API, whose boxes are [top, left, bottom, right] and classes from 1.
      firstClass: /^detection_/.test(boxes) ? 1 : 0,
      boxFormat: wishes.boxFormat ?? (/^detection_/.test(boxes) ? 'yxyx' : 'xyxy'),
      boxUnit: wishes.boxUnit ?? (/^detection_/.test(boxes) ? 'normalized' : 'pixels'),
    };
  }
  const candidates = outputs.filter(
    ({ name, shape }) => shape.length === 2 && (wishes.output === undefined || name === wishes.output),
  );
  const [first, second] = candidates;
  if ((told === undefined || told === 'ssd') && first && second && candidates.length === 2)
    return ssdHead(first, second, wishes);
  if (first === undefined || (candidates.length !== 1 && wishes.output === undefined)) return undefined;
  const kind = told ?? yoloKind(first.shape as readonly [number, number], input);
  if (kind === 'yolo-v5' || kind === 'yolo-v8' || kind === 'nms-rows') return { kind, output: first.name };
  if (kind !== 'yolox') return undefined;
  const found = [YOLO_STRIDES_PX, P6_STRIDES_PX].find((px) => cells(input, px) === first.shape[0]);
  const stridesPx = [...(found ?? YOLO_STRIDES_PX)];
  if (!areInPixels(first, input, stridesPx)) return { kind, output: first.name, stridesPx };
  if (told === undefined) return { kind: 'yolo-v5', output: first.name };
  throw invalid(
    `the boxes of "${first.name}" are in pixels already, as with --decode_in_inference of YOLOX: pass --output-decode yolo-v5, which reads such boxes`,
  );
}

/**
 * Whether a head with the anchors of YOLOX gives boxes in input pixels (YOLOX's export with `--decode_in_inference`): the
 * centres of such boxes lie near their cells, those of a raw head near 0.
 */
function areInPixels({ shape, values }: TriedOutput, input: Size, stridesPx: readonly number[]): boolean {
  const columns = shape[1] as number;
  if (values === undefined || cells(input, stridesPx) !== shape[0]) return false;
  let [fromCell, fromZero, at] = [0, 0, 0];
  for (const stridePx of stridesPx) {
    const across = Math.floor(input.widthPx / stridePx);
    const count = across * Math.floor(input.heightPx / stridePx);
    for (let cell = 0; cell < count; cell++, at += columns) {
      const [x, y] = [values[at] as number, values[at + 1] as number];
      fromCell +=
        Math.abs(x / stridePx - (cell % across)) + Math.abs(y / stridePx - Math.floor(cell / across));
      fromZero += Math.abs(x) + Math.abs(y);
    }
  }
  return fromCell < fromZero;
}

/** By the number of anchors: YOLOv5 has three in each cell, YOLOX and YOLOv8 one; YOLOv8 lists them across. */
function yoloKind([a, b]: readonly [number, number], input: Size): Decode | undefined {
  const anchors = [YOLO_STRIDES_PX, P6_STRIDES_PX].map((px) => cells(input, px));
  if (anchors.includes(a / 3) && b > 5) return 'yolo-v5';
  if (anchors.includes(a) && b > 5) return 'yolox';
  if (anchors.includes(b) && a > 4) return 'yolo-v8';
  return b === 6 ? 'nms-rows' : undefined;
}

function cells(input: Size, stridesPx: readonly number[]): number {
  return stridesPx.reduce(
    (sum, px) => sum + Math.floor(input.widthPx / px) * Math.floor(input.heightPx / px),
    0,
  );
}

function ssdHead(one: TriedOutput, other: TriedOutput, wishes: Wishes): DetectorHead | undefined {
  if (one.shape[0] !== other.shape[0]) return undefined;
  const isBoxes = ({ name, shape }: TriedOutput): boolean => shape[1] === 4 && !/scores|conf|cls/i.test(name);
  const boxes = isBoxes(other) ? other : isBoxes(one) ? one : undefined;
  if (boxes === undefined) return undefined;
  const scores = boxes === one ? other : one;
  const columns = scores.shape[1] as number;
  // With one column more than labels, and where there are no labels with more than one, the first is the background.
  const hasBackground = wishes.labels === undefined ? columns > 1 : wishes.labels.length === columns - 1;
  return {
    kind: 'ssd',
    scores: scores.name,
    boxes: boxes.name,
    activation: scores.activation !== 'none' ? 'none' : hasBackground ? 'softmax' : 'sigmoid',
    background: hasBackground ? 0 : null,
    boxFormat: wishes.boxFormat ?? 'xyxy',
    boxUnit: wishes.boxUnit ?? 'normalized',
  };
}

function detectorOf(
  head: DetectorHead,
  outputs: readonly TriedOutput[],
  wishes: Wishes,
  input: Size,
): ChosenOutputs {
  const notes = [`read as a detector of kind "${head.kind}"; --output-decode says otherwise`];
  if (head.kind === 'ssd' || head.kind === 'nms-parts')
    notes.push(
      `boxes are taken for ${head.boxFormat}, ${head.boxUnit}; --box-format and --box-unit say otherwise`,
    );
  const classes = classesOf(head, outputs);
  if (classes === undefined && wishes.labels === undefined)
    throw invalid('the outputs do not tell how many classes there are: pass --labels');
  const output = {
    name: 'output' in head ? head.output : head.scores,
    shape: [],
    activation: 'none',
  } as const;
  const labels = labelsFor(classes ?? (wishes.labels as readonly string[]).length, output, wishes, notes);
  if (
    head.kind === 'yolox' &&
    cells(input, head.stridesPx) !== outputs.find(({ name }) => name === head.output)?.shape[0]
  )
    throw invalid(`a YOLOX head with strides ${head.stridesPx} does not fit ${described(outputs)}`);
  return {
    outputs: headOutputs(head).map((name) => ({ name, decode: 'detector' })),
    detector: {
      head,
      labels,
      minScore: wishes.minScore ?? DETECTOR_DEFAULTS.minScore,
      maxOverlap: wishes.maxOverlap ?? DETECTOR_DEFAULTS.maxOverlap,
      maxDetections: wishes.maxDetections ?? DETECTOR_DEFAULTS.maxDetections,
    },
    notes,
  };
}

function classesOf(head: DetectorHead, outputs: readonly TriedOutput[]): number | undefined {
  const shape = (name: string): readonly number[] =>
    outputs.find((output) => output.name === name)?.shape ?? [];
  if (head.kind === 'yolo-v5' || head.kind === 'yolox') return (shape(head.output)[1] as number) - 5;
  if (head.kind === 'yolo-v8') return (shape(head.output)[0] as number) - 4;
  if (head.kind === 'ssd') return (shape(head.scores)[1] as number) - (head.background === null ? 0 : 1);
  return undefined;
}

function described(outputs: readonly TriedOutput[]): string {
  return outputs.map(({ name, shape }) => `"${name}" [N${shape.map((n) => `, ${n}`).join('')}]`).join(', ');
}

function invalid(message: string): SluiceError {
  return new SluiceError('model-invalid', message);
}
