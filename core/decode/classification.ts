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
    const bad = row.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) throw unusable(`score "${labels[bad]}" of image ${i} in the batch is ${row[bad]}`);
    if (decode === 'softmax') softmax(row);
    else if (decode === 'sigmoid') for (let j = 0; j < row.length; j++) row[j] = sigmoid(row[j] as number);
    const least = topK < labels.length ? (row.toSorted().at(-topK) as number) : -Infinity;
    let kept = 0;
    for (let j = 0; j < row.length && kept < topK; j++) {
      const value = row[j] as number;
      if (value < least) continue;
      scores[labels[j] as string] = value;
      kept++;
    }
  }
}

/** Turns logits into probabilities that add up to 1, in place; shifted by the maximum, so nothing overflows. */
export function softmax(row: Float64Array): void {
  let max = -Infinity;
  for (const value of row) if (value > max) max = value;
  let sum = 0;
  for (let i = 0; i < row.length; i++) {
    const e = Math.exp((row[i] as number) - max);
    row[i] = e;
    sum += e;
  }
  for (let i = 0; i < row.length; i++) row[i] = (row[i] as number) / sum;
}

/** 1 / (1 + e^−x). */
export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}
