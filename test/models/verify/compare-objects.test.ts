import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Detection } from '#core/decode/detection.ts';
import { compareObjects } from '#models/verify/compare-objects.ts';

const DETECTOR = { minScore: 0.25, maxOverlap: 0.45, maxDetections: 300 };
const TOLERANCES = { maxScoreDifference: 0.03, minBoxOverlap: 0.75 };

const object = (score: number, leftPx: number, label = 'cat', sidePx = 100): Detection => ({
  label,
  score,
  box: { leftPx, topPx: 0, rightPx: leftPx + sidePx, bottomPx: sidePx },
});

const compared = (expected: Detection[], got: Detection[], detector = DETECTOR) =>
  compareObjects('photo.jpg', expected, got, detector, TOLERANCES);

describe('comparing the objects of an image', () => {
  it('finds no difference between a detector and itself with every score a little lower', () => {
    const scores = fc.array(fc.double({ min: 0.22, max: 1, noNaN: true }), { maxLength: 30 });
    fc.assert(
      fc.property(scores, fc.double({ min: 0.975, max: 1, noNaN: true }), (list, factor) => {
        const all = list.sort((a, b) => b - a).map((score, i) => object(score, 120 * i));
        const lower = all.map((one) => ({ ...one, score: one.score * factor }));
        const expected = all.filter(({ score }) => score >= DETECTOR.minScore);
        const got = lower.filter(({ score }) => score >= DETECTOR.minScore - TOLERANCES.maxScoreDifference);
        const { unmatched, maxScore } = compared(expected, got);
        expect(unmatched).toBe(0);
        expect(maxScore).toBeLessThanOrEqual(0.0251);
      }),
    );
  });

  it('leaves out what lies near the threshold on either side, and nothing else', () => {
    expect(compared([object(0.9, 0), object(0.26, 200)], [object(0.9, 0)])).toMatchObject({
      objects: 1,
      unmatched: 0,
    });
    expect(compared([object(0.9, 0)], [object(0.9, 0), object(0.27, 200)]).unmatched).toBe(0);
    expect(compared([object(0.9, 0), object(0.3, 200)], [object(0.9, 0)])).toMatchObject({
      unmatched: 1,
      where: '"cat" 0.300 at [200, 0, 300, 100] of photo.jpg is not found',
    });
    expect(compared([object(0.9, 0)], [object(0.9, 0), object(0.3, 200)]).where).toMatch(
      /is found and not expected/,
    );
  });

  it('sees a box that lies elsewhere, and says what lies where it was expected', () => {
    const { unmatched, where } = compared([object(0.9, 0)], [object(0.9, 30)]);
    expect(unmatched).toBe(2);
    expect(where).toMatch(/is not found \(closest is "cat" 0\.900 at \[30, 0, 130, 100\], overlap 0\.54\)/);
    expect(compared([object(0.9, 0)], [object(0.9, 5)])).toMatchObject({ unmatched: 0 });
  });

  it('sees boxes in another format', () => {
    const boxes = [object(0.9, 40), object(0.8, 300)];
    const asCentered = boxes.map((one) => {
      const { leftPx, topPx, rightPx, bottomPx } = one.box;
      const box = {
        leftPx: leftPx - rightPx / 2,
        topPx: topPx - bottomPx / 2,
        rightPx: leftPx + rightPx / 2,
        bottomPx: topPx + bottomPx / 2,
      };
      return { ...one, box };
    });
    expect(compared(boxes, asCentered).unmatched).toBe(4);
  });

  it('sees another label on the same box', () => {
    expect(compared([object(0.9, 0)], [object(0.9, 0, 'dog')]).unmatched).toBe(2);
  });

  it('measures how far the scores and the boxes of an object are apart', () => {
    const { maxScore, minOverlap } = compared(
      [object(0.9, 0), object(0.8, 200)],
      [object(0.88, 0), object(0.8, 210)],
    );
    expect(maxScore).toBeCloseTo(0.02);
    expect(minOverlap).toBeCloseTo(90 / 110);
  });

  it('pairs the objects of one label that overlap by their boxes, not by their order', () => {
    const expected = [object(0.8, 0), object(0.79, 40)];
    const got = [object(0.795, 40), object(0.79, 0)];
    expect(compared(expected, got)).toMatchObject({ unmatched: 0 });
  });

  it('takes it for chance which of two boxes is dropped that overlap as much as they may', () => {
    // Intersection over union is 0.449 with a shift of 38 px.
    expect(compared([object(0.9, 0), object(0.5, 38)], [object(0.9, 0)]).unmatched).toBe(0);
    expect(compared([object(0.9, 0)], [object(0.9, 0), object(0.5, 38)]).unmatched).toBe(0);
    expect(compared([object(0.9, 0), object(0.5, 60)], [object(0.9, 0)]).unmatched).toBe(1);
    // A box that no one else has found does not excuse another: all of them may be shifted.
    expect(compared([object(0.9, 0)], [object(0.9, 36)]).unmatched).toBe(2);
  });

  it('takes it for chance which ones are the last in a list that is full', () => {
    const full = { ...DETECTOR, maxDetections: 2 };
    const expected = [object(0.9, 0), object(0.5, 200)];
    const got = [object(0.9, 0), object(0.49, 400)];
    expect(compared(expected, got, full).unmatched).toBe(0);
    expect(compared(expected, got).unmatched).toBe(2);
  });
});
