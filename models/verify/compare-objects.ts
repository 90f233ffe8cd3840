import { boxOverlap } from '#core/decode/box-overlap.ts';
import type { Detection } from '#core/decode/detection.ts';
import type { Detector } from '#core/model-manifest.ts';

/** How alike two lists of objects have to be. */
export interface ObjectTolerances {
  /** Between the scores of one object in both lists. */
  readonly maxScoreDifference: number;
  /** Intersection over union of its two boxes, 0–1. */
  readonly minBoxOverlap: number;
}

/** What a detector found beside what was expected of it. */
export interface ObjectDifference {
  /** Objects of both lists, each counted once; those near the threshold are left out. */
  readonly objects: number;
  /** Of these, how many one list has alone. */
  readonly unmatched: number;
  /** The largest difference between the scores of an object in both lists. */
  readonly maxScore: number;
  /** The smallest overlap of its two boxes; 1 where no object is in both lists. */
  readonly minOverlap: number;
  /** The first object that one list has alone, for a person. */
  readonly where: string | undefined;
}

/** Overlaps so close to the limit of NMS are decided by the last digits. */
const NMS_SLACK = 0.05;

/**
 * Compares the objects of one image: each expected one with the one of the same label whose box it overlaps most.
 *
 * What the last digits of a score or a box decide is no difference: an object within the tolerance of the detector's
 * `minScore` may be missing on either side, and so may one that lies so close to a better one that suppressing it is a
 * matter of chance, and the last ones of a list that is full.
 *
 * @param got found with a threshold that is lower by the tolerance, the best first as `expected` is.
 */
export function compareObjects(
  image: string,
  expected: readonly Detection[],
  got: readonly Detection[],
  detector: Pick<Detector, 'minScore' | 'maxOverlap' | 'maxDetections'>,
  { maxScoreDifference, minBoxOverlap }: ObjectTolerances,
): ObjectDifference {
  const pairs = pairedBy(expected, got, minBoxOverlap);
  const partners = new Set(pairs.values());
  /** Whether `object`, which `others` lacks, may be missing there. */
  const mayLack = (object: Detection, others: readonly Detection[], matched: (of: Detection) => boolean) => {
    const couldBeat = (other: Detection): boolean => other.score >= object.score - maxScoreDifference;
    return (
      object.score < detector.minScore + maxScoreDifference ||
      (others.length >= detector.maxDetections && others.every(couldBeat)) ||
      others.some(
        (other) =>
          matched(other) &&
          other.label === object.label &&
          couldBeat(other) &&
          boxOverlap(other.box, object.box) >= detector.maxOverlap - NMS_SLACK,
      )
    );
  };
  const missing = expected.filter((one) => !pairs.has(one) && !mayLack(one, got, (of) => partners.has(of)));
  const extra = got.filter((one) => !partners.has(one) && !mayLack(one, expected, (of) => pairs.has(of)));
  const both = [...pairs];
  return {
    objects: both.length + missing.length + extra.length,
    unmatched: missing.length + extra.length,
    maxScore: Math.max(0, ...both.map(([one, other]) => Math.abs(one.score - other.score))),
    minOverlap: Math.min(1, ...both.map(([one, other]) => boxOverlap(one.box, other.box))),
    where:
      missing[0] !== undefined
        ? `${described(missing[0])} of ${image} is not found${nearest(missing[0], got)}`
        : extra[0] !== undefined
          ? `${described(extra[0])} of ${image} is found and not expected${nearest(extra[0], expected)}`
          : undefined,
  };
}

/** The differences of all images as one. */
export function allObjects(differences: readonly ObjectDifference[]): ObjectDifference {
  return {
    objects: differences.reduce((sum, { objects }) => sum + objects, 0),
    unmatched: differences.reduce((sum, { unmatched }) => sum + unmatched, 0),
    maxScore: Math.max(0, ...differences.map(({ maxScore }) => maxScore)),
    minOverlap: Math.min(1, ...differences.map(({ minOverlap }) => minOverlap)),
    where: differences.find(({ where }) => where !== undefined)?.where,
  };
}

/** Each expected object, the best first, with the free one of its label that it overlaps most. */
function pairedBy(
  expected: readonly Detection[],
  got: readonly Detection[],
  minBoxOverlap: number,
): Map<Detection, Detection> {
  const pairs = new Map<Detection, Detection>();
  const free = new Set(got);
  for (const one of expected) {
    const [best] = [...free]
      .map((other) => ({ other, overlap: other.label === one.label ? boxOverlap(one.box, other.box) : 0 }))
      .filter(({ overlap }) => overlap >= minBoxOverlap)
      .sort((a, b) => b.overlap - a.overlap);
    if (best === undefined) continue;
    pairs.set(one, best.other);
    free.delete(best.other);
  }
  return pairs;
}

/** What lies where an object is missing: mostly it says why. */
function nearest(object: Detection, others: readonly Detection[]): string {
  const [closest] = others
    .map((other) => ({ other, overlap: boxOverlap(object.box, other.box) }))
    .sort((a, b) => b.overlap - a.overlap);
  if (closest === undefined || closest.overlap === 0) return '';
  return ` (closest is ${described(closest.other)}, overlap ${closest.overlap.toFixed(2)})`;
}

function described({ label, score, box }: Detection): string {
  const corners = [box.leftPx, box.topPx, box.rightPx, box.bottomPx].map((px) => Math.round(px));
  return `"${label}" ${score.toFixed(3)} at [${corners.join(', ')}]`;
}
