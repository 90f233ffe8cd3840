import type { Size } from '#core/geometry.ts';
import type { ModelManifest } from '#core/model-manifest.ts';
import { addScores, type Scores } from './classification.ts';
import { type Detection, detect, detectionScores } from './detection.ts';
import type { Outputs } from './usable-output.ts';

/** What a model made of one image. */
export interface ImageResult {
  readonly scores: Scores;
  /** The objects that a detector found, the best first; none for any other model. */
  readonly detections: readonly Detection[];
}

/**
 * The results of a batch from a model's outputs, in the batch's order.
 *
 * @param sources sizes of the upright originals, in the order of the batch.
 * @throws SluiceError `engine-failed` where an output is missing, has another shape, or is not a number: a wrong
 * score must never become a verdict.
 */
export function readOutputs(
  outputs: Outputs,
  manifest: ModelManifest,
  sources: readonly Size[],
): ImageResult[] {
  const { detector, preprocess } = manifest;
  const scores = sources.map((): Scores => ({}));
  for (const output of manifest.outputs) if (output.decode !== 'detector') addScores(outputs, output, scores);
  if (detector === undefined) return scores.map((of) => ({ scores: of, detections: [] }));
  return detect(outputs, detector, preprocess, sources).map((detections, i) => ({
    scores: { ...scores[i], ...detectionScores(detections, detector.labels) },
    detections,
  }));
}
