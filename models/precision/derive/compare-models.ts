import { basename } from 'node:path';
import type { Scores } from '#core/decode/classification.ts';
import { imageMeasures } from '#core/measures.ts';
import type { ModelManifest } from '#core/model-manifest.ts';
import { decide } from '#core/policy.ts';
import type { SampledImage } from './sample-images.ts';

/** An image whose best label or verdict is another one. */
interface Flip {
  readonly image: string;
  readonly from: string;
  readonly to: string;
}

/** The images whose best label this is in the float model. */
interface LabelRow {
  readonly label: string;
  readonly images: number;
  /** How many of them keep it. */
  readonly agreed: number;
  readonly meanDifference: number;
  readonly maxDifference: number;
}

/** How a model of lower precision differs from the one that it was made of. */
export interface Agreement {
  readonly images: number;
  /** Share of images with the same best label, 0–1. */
  readonly top1: number;
  /** The same among images whose best label leads by {@link CLEAR_LEAD} or more in the float model; null where none does. */
  readonly clearTop1: number | null;
  readonly clearImages: number;
  /** Of all scores of all images. */
  readonly meanDifference: number;
  readonly maxDifference: number;
  readonly labelFlips: readonly Flip[];
  readonly verdictFlips: readonly Flip[];
  readonly byLabel: readonly LabelRow[];
}

/** A label that leads by less is one of several that the model cannot tell apart. */
export const CLEAR_LEAD = 0.1;

/** Where a model gives no label at all: a detector that finds nothing. */
const NO_LABEL = 'none';

/** The agreement of scores of the same images, in their order. */
export function agreementOf(
  { policy }: Pick<ModelManifest, 'policy'>,
  images: readonly Pick<SampledImage, 'path' | 'source' | 'bytes'>[],
  expected: readonly Scores[],
  got: readonly Scores[],
): Agreement {
  const labelFlips: Flip[] = [];
  const verdictFlips: Flip[] = [];
  const rows = new Map<string, { differences: number[]; max: number; agreed: number }>();
  const clear = { images: 0, agreed: 0 };
  const all = { sum: 0, count: 0, max: 0 };
  for (const [i, { path, source, bytes }] of images.entries()) {
    const [before, after] = [expected[i] ?? {}, got[i] ?? {}];
    const image = basename(path);
    const [first, second] = bestOf(before);
    const [best] = bestOf(after);
    const isSame = first.label === best.label;
    if (!isSame) labelFlips.push({ image, from: first.label, to: best.label });
    if (first.score - second.score >= CLEAR_LEAD) {
      clear.images++;
      if (isSame) clear.agreed++;
    }
    const verdictOf = (scores: Scores): string =>
      decide(policy, imageMeasures({ ...source, bytes }, scores)).verdict;
    const [verdict, newVerdict] = [verdictOf(before), verdictOf(after)];
    if (verdict !== newVerdict) verdictFlips.push({ image, from: verdict, to: newVerdict });
    const row = rows.get(first.label) ?? { differences: [], max: 0, agreed: 0 };
    rows.set(first.label, row);
    if (isSame) row.agreed++;
    row.differences.push(Math.abs((after[first.label] ?? 0) - (before[first.label] ?? 0)));
    for (const [name, value] of named(before)) {
      const difference = Math.abs((after[name] ?? 0) - value);
      all.sum += difference;
      all.count++;
      all.max = Math.max(all.max, difference);
    }
  }
  return {
    images: images.length,
    top1: 1 - labelFlips.length / images.length,
    clearTop1: clear.images === 0 ? null : clear.agreed / clear.images,
    clearImages: clear.images,
    meanDifference: all.sum / Math.max(1, all.count),
    maxDifference: all.max,
    labelFlips,
    verdictFlips,
    byLabel: [...rows]
      .map(([label, { differences, agreed }]) => ({
        label,
        images: differences.length,
        agreed,
        meanDifference: differences.reduce((a, b) => a + b, 0) / differences.length,
        maxDifference: Math.max(...differences),
      }))
      .sort((a, b) => a.agreed / a.images - b.agreed / b.images || b.images - a.images),
  };
}

interface Best {
  readonly label: string;
  readonly score: number;
}

/** The two highest scores. One that is 0 names no label. */
function bestOf(scores: Scores): [Best, Best] {
  let first: Best = { label: NO_LABEL, score: 0 };
  let second = first;
  for (const [label, score] of named(scores)) {
    if (score > first.score) [first, second] = [{ label, score }, first];
    else if (score > second.score) second = { label, score };
  }
  return [first, second];
}

/** The scores of labels: how many objects a detector found is none. */
function named(scores: Scores): [string, number][] {
  return Object.entries(scores).filter(([name]) => name !== 'detections') as [string, number][];
}
