import { describe, expect, it } from 'vitest';
import { agreementOf } from '#models/precision/derive/compare-models.ts';

const image = (name: string) => ({
  path: `/photos/${name}`,
  source: { widthPx: 4, heightPx: 4 },
  bytes: 100,
});
const POLICY = {
  rules: [{ check: 'dog', when: { measure: 'dog', above: 0.5 }, verdict: 'review' as const }],
  nearDuplicateMaxBits: 4,
  oddSizeIqrs: 3,
};

describe('the agreement of two models', () => {
  const agreement = agreementOf(
    { policy: POLICY },
    ['a', 'b', 'c', 'd'].map(image),
    [
      { cat: 0.9, dog: 0.1 },
      { cat: 0.48, dog: 0.52 },
      { cat: 0.7, dog: 0.3 },
      { cat: 0, dog: 0, detections: 0 },
    ],
    [
      { cat: 0.8, dog: 0.2 },
      { cat: 0.51, dog: 0.49 },
      { cat: 0.6, dog: 0.4 },
      { cat: 0, dog: 0, detections: 3 },
    ],
  );

  it('counts the images that keep their best label, and apart those where it was clear', () => {
    expect(agreement).toMatchObject({ images: 4, top1: 0.75, clearTop1: 1, clearImages: 2 });
    expect(agreement.labelFlips).toEqual([{ image: 'b', from: 'dog', to: 'cat' }]);
  });

  it('names the images whose verdict changes under the policy', () => {
    expect(agreement.verdictFlips).toEqual([{ image: 'b', from: 'review', to: 'pass' }]);
  });

  it('tells how far scores are off, but not how many objects there are', () => {
    expect(agreement.maxDifference).toBeCloseTo(0.1, 6);
    expect(agreement.meanDifference).toBeCloseTo((4 * 0.1 + 2 * 0.03) / 8, 6);
  });

  it('has a row for each label, those that keep the fewest images first', () => {
    expect(agreement.byLabel.map(({ label, images, agreed }) => [label, images, agreed])).toEqual([
      ['dog', 1, 0],
      ['cat', 2, 2],
      ['none', 1, 1],
    ]);
    expect(agreement.byLabel[1]?.meanDifference).toBeCloseTo(0.1, 6);
  });
});
