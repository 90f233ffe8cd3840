import type { Size } from '#core/geometry.ts';
import { type Detector, detectorScoreNames } from '#core/model-manifest.ts';
import type { PreprocessSpec } from '#core/preprocess-spec.ts';
import { Candidates } from './candidates.ts';
import type { Scores } from './classification.ts';
import { bestCandidates } from './nms.ts';
import { headReader } from './read-head.ts';
import { type Box, unplacer } from './unplace-box.ts';
import type { Outputs } from './usable-output.ts';

/** One object in an image. */
export interface Detection {
  readonly label: string;
  /** 0–1 */
  readonly score: number;
  /** In pixels of the upright original, whatever the input's size, letterbox or EXIF orientation. */
  readonly box: Box;
}

/**
 * The objects in each image, the best first.
 *
 * @param sources sizes of the upright originals, in the order of the batch.
 * @throws SluiceError `engine-failed` where an output has another shape or holds what is not a number.
 */
export function detect(
  outputs: Outputs,
  detector: Detector,
  spec: PreprocessSpec,
  sources: readonly Size[],
): Detection[][] {
  const read = headReader(outputs, detector, spec, sources.length);
  const candidates = new Candidates();
  return sources.map((source, image) => {
    candidates.clear();
    read(image, candidates);
    // Heads with NMS inside have done this: for them it only picks the best.
    const maxOverlap = detector.head.kind.startsWith('nms-') ? 1 : detector.maxOverlap;
    const kept = bestCandidates(candidates, maxOverlap, detector.maxDetections);
    const unplace = unplacer(source, spec);
    const { boxes } = candidates;
    return kept.map((i) => ({
      label: detector.labels[candidates.classes[i] as number] as string,
      score: candidates.scores[i] as number,
      box: unplace(boxes[4 * i]!, boxes[4 * i + 1]!, boxes[4 * i + 2]!, boxes[4 * i + 3]!),
    }));
  });
}

/** What a policy can say about an image's objects: the best score of each label, 0 where there is none, and their number. */
export function detectionScores(detections: readonly Detection[], labels: readonly string[]): Scores {
  const scores: Scores = Object.fromEntries(detectorScoreNames(labels).map((name) => [name, 0]));
  for (const { label, score } of detections) {
    const name = `${label}_max`;
    if (score > (scores[name] ?? 0)) scores[name] = score;
  }
  scores['detections'] = detections.length;
  return scores;
}
