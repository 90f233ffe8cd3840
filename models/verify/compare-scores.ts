import type { Scores } from '#core/decode/classification.ts';

/** How far scores are from their reference. */
export interface ScoreDifference {
  /** The largest difference of any score of any image, and which one it is; NaN where a score is missing. */
  readonly max: number;
  readonly where: string;
  /** The share of images whose highest score is that of the same label, 0–1. */
  readonly top1: number;
}

/** Only scores that the reference names are compared. */
export function scoreDifference(
  names: readonly string[],
  scores: readonly Scores[],
  expected: readonly Scores[],
): ScoreDifference {
  let max = 0;
  let where = 'nowhere';
  let agreed = 0;
  for (const [i, reference] of expected.entries()) {
    const got = scores[i] ?? {};
    for (const [score, value] of Object.entries(reference)) {
      const difference = Math.abs((got[score] ?? Number.NaN) - value);
      if (difference <= max) continue;
      max = difference;
      where = `${score} of ${names[i]}: ${got[score]}, expected ${value}`;
      if (Number.isNaN(difference)) return { max, where, top1: 0 };
    }
    const compared = Object.keys(reference).filter((score) => score !== 'detections');
    if (best(reference, compared) === best(got, compared)) agreed++;
  }
  return { max, where, top1: expected.length === 0 ? 1 : agreed / expected.length };
}

function best(scores: Scores, among: readonly string[]): string | undefined {
  return among.reduce<string | undefined>(
    (top, score) =>
      top === undefined || (scores[score] ?? -Infinity) > (scores[top] ?? -Infinity) ? score : top,
    undefined,
  );
}
