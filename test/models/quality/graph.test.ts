import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { RgbImage } from '#test/support/pillow.ts';
import { countedPixelsOf, smallLumaFirstOf } from '#test/support/quality-model-view.ts';
import { referenceScores, roundingBounds } from '#test/support/quality-reference.ts';
import { syntheticImage } from '#test/support/synthetic-image.ts';
import { loadQualityModel, type QualityModel } from './quality-model.ts';

let model: QualityModel;
beforeAll(async () => {
  model = await loadQualityModel();
});

/** Of a number up to 1. */
const FLOAT32_ERROR = 1e-6;

/** How far a score may lie from the reference on the pixels that are counted. Brightness is counted in eighths of a level. */
const TOLERANCES = { dark: 1 / 4000, bright: 1 / 4000, information: 1e-4, chroma: 1e-3 } as const;

async function expectReferenceScores(image: RgbImage): Promise<void> {
  const [scores] = await model.score([image]);
  const expected = referenceScores(countedPixelsOf(image));
  for (const name of Object.keys(TOLERANCES) as (keyof typeof TOLERANCES)[]) {
    const difference = Math.abs(scores![name]! - expected[name]);
    expect(difference, `${name}: ${scores![name]} for ${expected[name]}`).toBeLessThan(TOLERANCES[name]);
  }
  for (const [name, [least, greatest]] of Object.entries(roundingBounds(smallLumaFirstOf(image)))) {
    expect(scores![name], name).toBeGreaterThanOrEqual(least - FLOAT32_ERROR);
    expect(scores![name], name).toBeLessThanOrEqual(greatest + FLOAT32_ERROR);
  }
}

describe('the graph agrees with the reference on the pixels that it looks at', () => {
  test.each([
    [1, 1],
    [2, 1],
    [3, 128],
    [128, 3],
    [128, 1],
    [5, 2],
    [64, 64],
    [65, 64],
    [100, 75],
    [127, 127],
    [128, 85],
    [128, 128],
  ])('for a picture of %i × %i px', async (widthPx, heightPx) => {
    for (const seed of [1, 2, 3]) await expectReferenceScores(syntheticImage(widthPx, heightPx, seed));
  });

  test('for any size, noise and content', async () => {
    const side = fc.integer({ min: 1, max: 128 });
    await fc.assert(
      fc.asyncProperty(side, side, fc.nat(), fc.nat({ max: 255 }), async (width, height, seed, noise) => {
        await expectReferenceScores(syntheticImage(width, height, seed, noise));
      }),
      { numRuns: 60 },
    );
  });

  test.each([0, 1, 127, 255])('for a picture that is all level %i', async (level) => {
    const flat: RgbImage = { widthPx: 90, heightPx: 40, data: new Uint8Array(90 * 40 * 3).fill(level) };
    await expectReferenceScores(flat);
    const [scores] = await model.score([flat]);
    expect(scores!['dark']).toBeCloseTo(level / 255, 6);
    expect(scores!['chroma']).toBe(0);
  });
});

test('the scores of an image depend neither on its place in the batch nor on the other images', async () => {
  const shape = fc.record({
    width: fc.integer({ min: 1, max: 128 }),
    height: fc.integer({ min: 1, max: 128 }),
    seed: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(shape, { minLength: 2, maxLength: 20 }), async (shapes) => {
      const images = shapes.map(({ width, height, seed }) => syntheticImage(width, height, seed));
      const together = await model.score(images);
      for (const [n, image] of images.entries()) expect(await model.score([image])).toEqual([together[n]]);
    }),
    { numRuns: 30 },
  );
});

test('the scores of an image do not depend on what the padding holds', async () => {
  const image = syntheticImage(77, 128, 7);
  expect(await model.score([image], 255)).toEqual(await model.score([image], 0));
});
