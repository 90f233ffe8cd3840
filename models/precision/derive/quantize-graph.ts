import type { LoadedModel } from '#adapters/model-folder.ts';
import { SluiceError } from '#core/error.ts';
import type { Derived } from '#core/model-manifest.ts';
import type { GraphProto, ModelProto } from '#models/onnx/generated/onnx_pb.js';
import { calibrationPath, imagesSha256, readCalibration, writeCalibration } from '../calibration/cache.ts';
import { type Calibration, calibrate } from '../calibration/calibrate.ts';
import type { Calibrator } from '../calibration/calibrators.ts';
import type { Target } from '../calibration/quantization.ts';
import { equalizeChannels } from '../equalize-channels.ts';
import { planQuantization, type QuantizationPlan } from '../quantization-plan.ts';
import { raiseOpset } from '../raise-opset.ts';
import { toInt8 } from '../to-int8.ts';
import type { Agreement } from './compare-models.ts';
import type { SampledImage } from './sample-images.ts';
import { layersBySensitivity } from './sensitivity.ts';

export interface QuantizeOptions {
  readonly target: Target;
  readonly calibrator: Calibrator;
  /** Layers that stay float, by the name of the value they give; `auto` leaves out the most sensitive ones where needed. */
  readonly floatLayers: readonly string[] | 'auto';
}

export interface QuantizedGraph {
  readonly model: ModelProto;
  readonly quantization: NonNullable<Derived['quantization']>;
  /** How many layers compute on integers. */
  readonly layers: number;
}

interface Judge {
  readonly minTop1: number;
  compare(made: ModelProto, images: readonly SampledImage[]): Promise<Agreement>;
  readonly onProgress?: ((message: string) => void) | undefined;
}

/** With more float layers than this share the model is a float one. */
const MOST_FLOAT = 0.5;

/** Differences of scores tell candidates apart by so few. */
const IMAGES_TO_CHOOSE_BY = 64;

/**
 * Quantizes the graph of a float model, fitted to the images. Changes `graph`.
 *
 * @throws SluiceError `model-invalid` where it has nothing to quantize; `config-invalid` for a layer that there is not.
 */
export async function quantizeGraph(
  model: LoadedModel,
  graph: ModelProto,
  images: readonly SampledImage[],
  options: QuantizeOptions,
  judge: Judge,
): Promise<QuantizedGraph> {
  const { target, calibrator, floatLayers } = options;
  raiseOpset(graph);
  const plan = planQuantization(graph.graph as GraphProto, target);
  if (plan.layers.length === 0)
    throw new SluiceError(
      'model-invalid',
      `"${model.manifest.name}" has nothing to quantize: expected Conv, Gemm or MatMul with float32 weights`,
    );
  const key = {
    modelSha256: model.manifest.sha256,
    imagesSha256: imagesSha256(images),
    calibrator: nameOf(calibrator),
    target,
    activations: plan.activations,
  };
  const path = calibrationPath(model.modelPath, key);
  const stored = await readCalibration(path);
  if (stored !== undefined) judge.onProgress?.(`calibration of these images is taken from ${path}`);
  if (stored !== undefined) equalizeChannels(graph.graph as GraphProto, stored.factors);
  const calibration = stored ?? (await calibrated(model, graph, images, plan, options, judge));
  if (stored === undefined) await writeCalibration(path, calibration);

  const quantizeWith = ({ ranges, channels }: Calibration, keepFloat: readonly string[]): ModelProto =>
    toInt8(graph, { target, ranges, channels, keepFloat: new Set(keepFloat) });
  // Where shifts of many layers add up to more than rounding does, correcting each by itself makes it worse.
  const chosen = await nearest(
    [calibration, { ...calibration, channels: new Map() }],
    (one) => quantizeWith(one, []),
    images,
    judge,
  );
  const quantize = (keepFloat: readonly string[]): ModelProto => quantizeWith(chosen, keepFloat);
  const kept =
    floatLayers === 'auto'
      ? await settledByAgreement(plan, quantize, images, judge)
      : known(floatLayers, plan);
  return {
    model: quantize(kept),
    quantization: {
      target,
      calibrator: key.calibrator,
      images: images.length,
      imagesSha256: key.imagesSha256,
      floatLayers: [...kept],
    },
    layers: plan.layers.length - kept.length,
  };
}

/** Changes `graph`, as `calibrate` does. */
async function calibrated(
  { manifest }: LoadedModel,
  graph: ModelProto,
  images: readonly SampledImage[],
  plan: QuantizationPlan,
  { target, calibrator }: QuantizeOptions,
  { onProgress }: Judge,
): Promise<Calibration> {
  return calibrate({
    model: graph,
    manifest,
    images,
    activations: plan.activations,
    absorbed: plan.absorbed,
    layerInputs: [...new Set(plan.layers.map(({ node }) => node.input[0] as string))],
    calibrator,
    target,
    onImage: (run, runs) => run % 50 === 0 && onProgress?.(`calibrating: run ${run} of ${runs}`),
  });
}

/** The candidate whose model gives scores that are nearest to those of the float model, in the mean over some images. */
async function nearest<T>(
  candidates: readonly T[],
  modelOf: (one: T) => ModelProto,
  images: readonly SampledImage[],
  { compare }: Judge,
): Promise<T> {
  const some = images.slice(0, IMAGES_TO_CHOOSE_BY);
  let best: { one: T; cost: number } | undefined;
  for (const one of candidates) {
    const { meanDifference } = await compare(modelOf(one), some);
    if (best === undefined || meanDifference < best.cost) best = { one, cost: meanDifference };
  }
  return (best as { one: T }).one;
}

/**
 * The fewest layers, the most sensitive first, without which the images that calibration has seen agree well enough: each
 * try leaves out twice as many as the one before. Where even half of all does not do, none is left out.
 */
async function settledByAgreement(
  plan: QuantizationPlan,
  quantize: (keepFloat: readonly string[]) => ModelProto,
  images: readonly SampledImage[],
  judge: Judge,
): Promise<readonly string[]> {
  const { minTop1, compare, onProgress } = judge;
  const first = await compare(quantize([]), images);
  if (first.top1 >= minTop1) return [];
  onProgress?.(
    `with all ${plan.layers.length} layers in int8 only ${(100 * first.top1).toFixed(1)} % of the calibration images keep their best label: looking for the layers that cost most`,
  );
  const names = plan.layers
    .filter((layer) => !layer.isWeightOnly)
    .map(({ node }) => node.output[0] as string);
  const ranked = await layersBySensitivity(names, quantize, images, judge);
  for (let count = 1; count <= names.length * MOST_FLOAT; count *= 2) {
    const kept = ranked.slice(0, count);
    const { top1 } = await compare(quantize(kept), images);
    onProgress?.(`  ${count} of them in float: ${(100 * top1).toFixed(1)} %`);
    if (top1 >= minTop1) return kept;
  }
  return [];
}

function known(wanted: readonly string[], { layers }: QuantizationPlan): readonly string[] {
  const names = layers.map(({ node }) => node.output[0] as string);
  const unknown = wanted.filter((name) => !names.includes(name));
  if (unknown.length === 0) return wanted;
  throw new SluiceError(
    'config-invalid',
    `--float-layers: there is no layer "${unknown.join('", "')}": the model has ${names.slice(0, 8).join(', ')}${names.length > 8 ? ' …' : ''}`,
  );
}

function nameOf(calibrator: Calibrator): string {
  return calibrator.kind === 'percentile' ? `percentile ${calibrator.percentile}` : calibrator.kind;
}
