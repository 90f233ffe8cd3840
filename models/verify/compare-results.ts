import type { Scores } from '#core/decode/classification.ts';
import { type Detection, detectionScores } from '#core/decode/detection.ts';
import type { ImageResult } from '#core/decode/read-outputs.ts';
import { detectorScoreNames, type ModelManifest } from '#core/model-manifest.ts';
import {
  allObjects,
  compareObjects,
  type ObjectDifference,
  type ObjectTolerances,
} from './compare-objects.ts';

/** What is right for one image: some scores by name, and for a detector its objects, where they are known. */
export interface ExpectedResult {
  readonly scores: Scores;
  readonly objects?: readonly Detection[] | undefined;
}

/** How far results are from their reference. */
export interface ResultDifference {
  /** The largest difference of any score, and which one it is; NaN where a score is missing. */
  readonly max: number;
  readonly where: string;
  /** The share of images whose highest score is that of the same label, 0–1; of a detector's scores there is none. */
  readonly top1: number | undefined;
  /** Where the reference says only how many objects there are: the first image with another number of them. */
  readonly miscounted: string | undefined;
  /** Where the reference names objects. */
  readonly objects: ObjectDifference | undefined;
}

/**
 * The manifest as results are read for a comparison: with all scores where only the highest are kept otherwise, and with a
 * detector's threshold lowered by the tolerance. What is just below it tells whether an object is gone, or has only lost
 * a little.
 */
export function forComparison(manifest: ModelManifest, slack: number): ModelManifest {
  const { detector } = manifest;
  const outputs = manifest.outputs.map((output) => {
    if (output.decode === 'detector') return output;
    const { topK: _, ...every } = output;
    return every;
  });
  if (detector === undefined) return { ...manifest, outputs };
  const minScore = Math.max(detector.minScore - slack, detector.minScore / 10);
  return { ...manifest, outputs, detector: { ...detector, minScore } };
}

/** The manifest for comparing with objects that were found under another threshold: the higher one of the two counts. */
export function withoutWeaker(manifest: ModelManifest, minScore: number | undefined): ModelManifest {
  const { detector } = manifest;
  if (detector === undefined || minScore === undefined || minScore <= detector.minScore) return manifest;
  return { ...manifest, detector: { ...detector, minScore } };
}

/** A result under the manifest's own threshold of one that was read with a lower one: NMS never drops an object for a worse one. */
export function atThreshold(
  { scores, detections }: ImageResult,
  { detector }: Pick<ModelManifest, 'detector'>,
): ImageResult {
  if (detector === undefined) return { scores, detections };
  const kept = detections.filter(({ score }) => score >= detector.minScore);
  return { scores: { ...scores, ...detectionScores(kept, detector.labels) }, detections: kept };
}

/**
 * Compares results with what is expected; only scores that the reference names.
 *
 * Objects are matched by their boxes. The best score of a label is not compared where that would compare it with the 0 of
 * "none found" because of the last digits, and a number of objects may be that with those near the threshold or without.
 *
 * @param got read under {@link forComparison} with `tolerances.maxScoreDifference`.
 */
export function compareResults(
  names: readonly string[],
  expected: readonly ExpectedResult[],
  got: readonly ImageResult[],
  manifest: ModelManifest,
  tolerances: ObjectTolerances,
): ResultDifference {
  const { detector } = manifest;
  const slack = tolerances.maxScoreDifference;
  const ofDetector = new Set(detector === undefined ? [] : detectorScoreNames(detector.labels));
  let [max, where, agreed, ranked] = [0, 'nowhere', 0, 0];
  let miscounted: string | undefined;
  const note = (difference: number, what: string): void => {
    if (difference <= max || Number.isNaN(max)) return;
    max = difference;
    where = what;
  };
  const objects: ObjectDifference[] = [];
  for (const [i, { scores: reference, objects: expectedObjects }] of expected.entries()) {
    const { scores = {}, detections = [] } = got[i] ?? {};
    const name = names[i] as string;
    const compared = Object.keys(reference).filter((score) => !ofDetector.has(score));
    for (const score of compared)
      note(
        Math.abs((scores[score] ?? Number.NaN) - (reference[score] as number)),
        `${score} of ${name}: ${scores[score]}, expected ${reference[score]}`,
      );
    if (compared.length > 0) {
      ranked++;
      if (best(reference, compared) === best(scores, compared)) agreed++;
    }
    if (detector === undefined) continue;
    if (expectedObjects !== undefined) {
      const difference = compareObjects(name, expectedObjects, detections, detector, tolerances);
      objects.push(difference);
      note(difference.maxScore, `an object of ${name}`);
      continue;
    }
    for (const [score, value] of Object.entries(reference)) {
      if (!ofDetector.has(score)) continue;
      const found = scores[score] ?? 0;
      if (score === 'detections') {
        const sure = detections.filter((one) => one.score >= detector.minScore + slack).length;
        if (value < sure || value > detections.length)
          miscounted ??= `${name}: ${sure} to ${detections.length}, expected ${value}`;
        continue;
      }
      const isCliff =
        Math.min(found, value) < detector.minScore && Math.max(found, value) < detector.minScore + slack;
      if (!isCliff) note(Math.abs(found - value), `${score} of ${name}: ${found}, expected ${value}`);
    }
  }
  return {
    max,
    where,
    top1: ranked === 0 ? undefined : agreed / ranked,
    miscounted,
    objects: objects.length === 0 ? undefined : allObjects(objects),
  };
}

/** Of so many objects one may go either way unexplained: two classes or two boxes that are as good as each other. */
const OBJECTS_PER_EXCEPTION = 50;

/** What is beyond the tolerances; empty where all is well. */
export function resultFailures(
  { max, where, top1, miscounted, objects }: ResultDifference,
  against: string,
  { maxScoreDifference, minTop1, minBoxOverlap }: ObjectTolerances & { readonly minTop1: number },
): string[] {
  const failures: string[] = [];
  if (objects !== undefined && objects.unmatched > Math.floor(objects.objects / OBJECTS_PER_EXCEPTION))
    failures.push(
      `${objects.unmatched} of ${objects.objects} objects are not those of ${against} (same label, boxes that overlap by ${minBoxOverlap} or more): ${objects.where}`,
    );
  // Written so that NaN fails too.
  if (!(max <= maxScoreDifference))
    failures.push(
      `scores differ from ${against} by ${max.toPrecision(3)} (at most ${maxScoreDifference}): ${where}`,
    );
  if (miscounted !== undefined)
    failures.push(`the number of objects is not that of ${against}: ${miscounted}`);
  if (top1 !== undefined && top1 < minTop1)
    failures.push(
      `only ${(100 * top1).toFixed(1)} % of the images have the same best label as ${against} (at least ${100 * minTop1} %)`,
    );
  return failures;
}

/** A box that no object has: its edges are the wrong way round, or it is smaller than a pixel. */
function isOdd({ box }: Detection): boolean {
  const [widthPx, heightPx] = [box.rightPx - box.leftPx, box.bottomPx - box.topPx];
  return widthPx < 0 || heightPx < 0 || widthPx * heightPx < 1;
}

/** Above this share boxes are read in the wrong way. */
const MAX_ODD_SHARE = 0.2;

/** What boxes say of themselves when they are read in the wrong format or unit. */
export function boxFailures(results: readonly ImageResult[]): string[] {
  const all = results.flatMap(({ detections }) => detections);
  const odd = all.filter(isOdd).length;
  if (odd <= MAX_ODD_SHARE * all.length) return [];
  return [
    `${odd} of ${all.length} boxes are inside out or smaller than a pixel: import the model again with another --box-format or --box-unit`,
  ];
}

function best(scores: Scores, among: readonly string[]): string | undefined {
  return among.reduce<string | undefined>(
    (top, score) =>
      top === undefined || (scores[score] ?? -Infinity) > (scores[top] ?? -Infinity) ? score : top,
    undefined,
  );
}
