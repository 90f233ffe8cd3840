import type { ScoresOutput } from '#core/model-manifest.ts';
import { floatOutput, type Outputs, unusable } from './usable-output.ts';

/** Scores by name. */
export type Scores = Record<string, number>;

/**
 * Adds the scores of one output, float32 `[images, …]` with one value a label, to those of each image.
 *
 * @throws SluiceError `engine-failed` where the output has another shape or a score is not a number.
 */
export function addScores(outputs: Outputs, output: ScoresOutput, into: readonly Scores[]): void {
  const { labels, decode, topK = labels.length } = output;
  const { data } = floatOutput(
    outputs,
    output.name,
    into.length,
    String(labels.length),
    (rest) => rest.reduce((a, b) => a * b, 1) === labels.length,
  );
  const row = new Float64Array(labels.length);
  for (const [i, scores] of into.entries()) {
    row.set(data.subarray(i * labels.length, (i + 1) * labels.length));
    const bad = firstNonFinite(row);
    if (bad >= 0) throw unusable(`score "${labels[bad]}" of image ${i} in the batch is ${row[bad]}`);
    const total = decode === 'softmax' ? exponentials(row) : 1;
    if (decode === 'sigmoid') for (let j = 0; j < row.length; j++) row[j] = sigmoid(row[j] as number);
    const least = topK < labels.length ? kthLargest(row, topK) : -Infinity;
    let kept = 0;
    for (let j = 0; j < row.length && kept < topK; j++) {
      const value = row[j] as number;
      if (value < least) continue;
      scores[labels[j] as string] = value / total;
      kept++;
    }
  }
}

/** The k-th largest value. One pass with k values in hand: sorting a thousand classes would cost more than all else. */
function kthLargest(row: Float64Array, k: number): number {
  const largest = new Float64Array(k).fill(-Infinity);
  for (let i = 0; i < row.length; i++) {
    const value = row[i] as number;
    if (value <= (largest[0] as number)) continue;
    // In ascending order, the smallest one first: it is the one that goes.
    let at = 0;
    for (; at + 1 < k && (largest[at + 1] as number) < value; at++) largest[at] = largest[at + 1] as number;
    largest[at] = value;
  }
  return largest[0] as number;
}

/** Turns logits into probabilities that add up to 1, in place. */
export function softmax(row: Float64Array): void {
  const total = exponentials(row);
  for (let i = 0; i < row.length; i++) row[i] = (row[i] as number) / total;
}

/** e^x of each, in place; shifted by the maximum, so nothing overflows. @returns their sum. */
function exponentials(row: Float64Array): number {
  let max = -Infinity;
  for (let i = 0; i < row.length; i++) if ((row[i] as number) > max) max = row[i] as number;
  let sum = 0;
  for (let i = 0; i < row.length; i++) {
    const e = Math.exp((row[i] as number) - max);
    row[i] = e;
    sum += e;
  }
  return sum;
}

function firstNonFinite(row: Float64Array): number {
  for (let i = 0; i < row.length; i++) if (!Number.isFinite(row[i] as number)) return i;
  return -1;
}

/** 1 / (1 + e^−x). */
export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}
