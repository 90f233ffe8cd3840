import { z } from 'zod';
import { Policy } from './policy.ts';
import { PreprocessSpec } from './preprocess-spec.ts';

const ModelName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]*$/, 'expected lower-case letters, digits, ".", "_" or "-"');

const Label = z.string().regex(/^[a-z][a-z0-9_]*$/, 'expected snake_case');
const Labels = z.array(Label).min(1);
const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hex digits');

/** What a model input is fed with. */
const ModelInput = z.strictObject({
  name: z.string().min(1),
  /**
   * `pixels`: uint8 `[N, height, width, 3]`, the pack's tensor.
   * `content-size`: int32 `[N, 2]`, (height, width) in pixels of the picture inside the tensor, without padding.
   */
  from: z.enum(['pixels', 'content-size']),
});

/**
 * A float32 output `[N, labels.length]`, each column one named score.
 *
 * `scores`: as the model gives them. `softmax`: logits of classes of which one is right. `sigmoid`: logits that each
 * stand for themselves. With `topK` only the highest so many scores of an image are kept; the others are absent.
 */
const ScoresOutput = z.strictObject({
  name: z.string().min(1),
  decode: z.enum(['scores', 'softmax', 'sigmoid']),
  labels: Labels,
  topK: z.int().min(1).optional(),
});
export type ScoresOutput = z.infer<typeof ScoresOutput>;

/** An output that {@link Detector} reads. */
const DetectorOutput = z.strictObject({ name: z.string().min(1), decode: z.literal('detector') });

const OutputName = z.string().min(1);
const BoxFormat = z.enum(['xyxy', 'yxyx', 'cxcywh']);
/** `normalized`: shares of the input's width and height, 0–1; else input pixels. */
const BoxUnit = z.enum(['pixels', 'normalized']);

/** How the numbers of a detector become boxes; A is the number of anchors, C of classes, K of boxes. */
const DetectorHead = z.discriminatedUnion('kind', [
  /** `[N, A, 5 + C]`: centre x, centre y, width, height (input pixels), objectness, class scores (0–1). */
  z.strictObject({ kind: z.literal('yolo-v5'), output: OutputName }),
  /** `[N, 4 + C, A]`: centre x, centre y, width, height (input pixels), class scores (0–1). YOLOv8 and YOLO11 too. */
  z.strictObject({ kind: z.literal('yolo-v8'), output: OutputName }),
  /** `[N, A, 5 + C]`, boxes relative to their cell of the grids of these strides, scores 0–1. */
  z.strictObject({
    kind: z.literal('yolox'),
    output: OutputName,
    stridesPx: z.array(z.int().min(1)).min(1),
  }),
  /**
   * `[N, A, 6]`: centre x, centre y, width, height, score and number of the best class: what import makes of the heads
   * above. In input pixels; with `stridesPx` relative to the cells of these grids, as for `yolox`.
   */
  z.strictObject({
    kind: z.literal('anchors'),
    output: OutputName,
    stridesPx: z.array(z.int().min(1)).min(1).optional(),
  }),
  /** Scores `[N, A, C]` (with a `background` column or without: null) and boxes `[N, A, 4]`. */
  z.strictObject({
    kind: z.literal('ssd'),
    scores: OutputName,
    boxes: OutputName,
    activation: z.enum(['none', 'softmax', 'sigmoid']),
    background: z.int().min(0).nullable(),
    boxFormat: BoxFormat,
    boxUnit: BoxUnit,
  }),
  /** `[N, K, 6]`: left, top, right, bottom (input pixels), score, class. NMS is done; empty rows have score 0. */
  z.strictObject({ kind: z.literal('nms-rows'), output: OutputName }),
  /** The same in parts: boxes `[N, K, 4]`, scores `[N, K]`, classes `[N, K]` and, where there is one, a count `[N]`. */
  z.strictObject({
    kind: z.literal('nms-parts'),
    boxes: OutputName,
    scores: OutputName,
    classes: OutputName,
    count: OutputName.nullable(),
    /** The number of the first class: TensorFlow's detectors count from 1. */
    firstClass: z.int().min(0).max(1),
    boxFormat: BoxFormat,
    boxUnit: BoxUnit,
  }),
]);
export type DetectorHead = z.infer<typeof DetectorHead>;

/** A model that finds objects. Its scores are `<label>_max` (0 where there is none) and `detections`, their number. */
const Detector = z.strictObject({
  head: DetectorHead,
  labels: Labels,
  /** Boxes with a lower score are not looked at. */
  minScore: z.number().gt(0).max(1),
  /** Of two boxes of one class with a greater intersection over union, the one with the lower score is dropped. */
  maxOverlap: z.number().gt(0).max(1),
  /** At most so many per image, the best ones. */
  maxDetections: z.int().min(1).max(1000),
});
export type Detector = z.infer<typeof Detector>;

/** A head of which import lets only the best class of each anchor out of the graph, as it was before. */
const Reduced = z.strictObject({
  kind: z.enum(['yolo-v5', 'yolo-v8', 'yolox']),
  output: OutputName,
  classes: z.int().min(1),
});
export type Reduced = z.infer<typeof Reduced>;

/**
 * What import built into the graph: the model's own input is, for each channel in the model's order,
 * (level · scale − mean) / std, where level is 0–255. Kept so that the step can be checked and repeated.
 */
const Prepared = z.strictObject({
  originalSha256: Sha256,
  /** The input of the original model. */
  input: z.string().min(1),
  dtype: z.enum(['float32', 'float16', 'uint8']),
  layout: z.enum(['nchw', 'nhwc']),
  channelOrder: z.enum(['rgb', 'bgr']),
  scale: z.number().positive(),
  mean: z.tuple([z.number(), z.number(), z.number()]),
  std: z.tuple([z.number().positive(), z.number().positive(), z.number().positive()]),
  reduced: Reduced.optional(),
});
export type Prepared = z.infer<typeof Prepared>;

/** How a model of lower precision was made of another one, and what it was found to cost. */
const Derived = z.strictObject({
  precision: z.enum(['fp16', 'int8']),
  /** The model that it was made of. */
  from: z.strictObject({ name: ModelName, sha256: Sha256 }),
  /** Of `int8`. */
  quantization: z
    .strictObject({
      /** What its integers are for: `gpu` int8 around zero, `cpu` uint8 over what occurs. */
      target: z.enum(['gpu', 'cpu']),
      calibrator: z.string().min(1),
      images: z.int().min(1),
      /** Names the images' pixels, in their order. */
      imagesSha256: Sha256,
      /** Layers that stayed float, by the name of the value they give. */
      floatLayers: z.array(z.string()),
    })
    .optional(),
  /** Against the model that it was made of, when it was made. */
  agreement: z.strictObject({
    images: z.int().min(1),
    /** Whether calibration had not seen them. */
    heldOut: z.boolean(),
    /** Share of images with the same best label, 0–1. */
    top1: z.number().min(0).max(1),
    maxScoreDifference: z.number().min(0),
    verdictFlips: z.int().min(0),
  }),
});
export type Derived = z.infer<typeof Derived>;

/** `models/<name>/model.json`: all that is needed to run a model and to reproduce its scores. */
export const ModelManifest = z
  .strictObject({
    schema: z.literal(1),
    name: ModelName,
    description: z.string(),
    license: z.string(),
    source: z.string(),
    /** The ONNX file, beside the manifest. */
    file: z.string().regex(/^[^/\\]+\.onnx$/, 'expected the name of an .onnx file beside the manifest'),
    sha256: Sha256,
    preprocess: PreprocessSpec,
    inputs: z.array(ModelInput).min(1),
    outputs: z.array(z.union([ScoresOutput, DetectorOutput])).min(1),
    detector: Detector.optional(),
    /** At most so many images in one run; 1 for a model whose batch dimension is fixed. */
    maxBatch: z.int().min(1).optional(),
    /** Only of imported models. */
    prepared: Prepared.optional(),
    /** Only of models of lower precision. */
    derived: Derived.optional(),
    policy: Policy,
  })
  .superRefine(({ outputs, detector }, context) => {
    const stated = outputs.filter((output) => output.decode === 'detector').map(({ name }) => name);
    const used = detector === undefined ? [] : headOutputs(detector.head);
    if ([...stated].sort().join() === [...used].sort().join()) return;
    context.addIssue({
      code: 'custom',
      path: ['detector'],
      message: `reads the outputs ${used.join(', ') || 'of no head'}, but those with decode "detector" are ${stated.join(', ') || 'none'}`,
    });
  });
export type ModelManifest = z.infer<typeof ModelManifest>;

/** The outputs of the model that a head reads. */
export function headOutputs(head: DetectorHead): string[] {
  if (head.kind === 'ssd') return [head.scores, head.boxes];
  if (head.kind !== 'nms-parts') return [head.output];
  return [head.boxes, head.scores, head.classes, ...(head.count === null ? [] : [head.count])];
}

/** The names of all scores of a model, in the order of its outputs; those of its detector come last. */
export function scoreNames(manifest: ModelManifest): string[] {
  const columns = manifest.outputs.flatMap((output) => ('labels' in output ? output.labels : []));
  return manifest.detector === undefined
    ? columns
    : [...columns, ...detectorScoreNames(manifest.detector.labels)];
}

/** The scores that a detector gives of an image. */
export function detectorScoreNames(labels: readonly string[]): string[] {
  return [...labels.map((label) => `${label}_max`), 'detections'];
}
