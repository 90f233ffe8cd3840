import { beforeAll, expect, test } from 'vitest';
import { decide } from '#core/policy.ts';
import type { RgbImage } from '#test/support/pillow.ts';
import { referenceFlags, referenceScores } from '#test/support/quality-reference.ts';
import { syntheticImage } from '#test/support/synthetic-image.ts';
import { blurred } from '#test/support/variations.ts';
import { loadQualityModel, type QualityModel } from './quality-model.ts';

let model: QualityModel;
beforeAll(async () => {
  model = await loadQualityModel();
});

async function checksOf(image: RgbImage): Promise<readonly string[]> {
  const [scores] = await model.score([image]);
  return decide(model.manifest.policy, scores!).checks;
}

/** Dusk: a sky that brightens towards the horizon, over a sea that brightens towards the beach: smooth, and in focus. */
function seascape(widthPx: number, heightPx: number): RgbImage {
  const horizonPx = Math.round(heightPx * 0.6);
  const data = new Uint8Array(widthPx * heightPx * 3);
  for (let i = 0; i < data.length; i++) {
    const x = Math.floor(i / 3) % widthPx;
    const y = Math.floor(i / 3 / widthPx);
    const tone =
      y < horizonPx ? 30 + (60 * y) / horizonPx : 50 + (40 * (y - horizonPx)) / (heightPx - horizonPx);
    data[i] = Math.round(tone + 50 * (x / widthPx) + [0, 5, 15][i % 3]!);
  }
  return { widthPx, heightPx, data };
}

test('a smooth picture in focus is not called blurry, though the reference does', async () => {
  const image = seascape(128, 96);
  expect(referenceFlags(referenceScores(image)).blurry).toBe(true);
  expect(await checksOf(image)).toEqual([]);
});

test.each([0.02, 0.04])('the same picture out of focus by %f of its size is called blurry', async (share) => {
  const image = await blurred(seascape(128, 96), share);
  expect(await checksOf(image)).toEqual(['blurry']);
});

test('a gray picture stored as color is called grayscale, and passes', async () => {
  const image = syntheticImage(128, 96, 5);
  const gray = { ...image, data: image.data.map((_, i) => image.data[i - (i % 3)]!) };
  const [scores] = await model.score([gray]);
  expect(scores!['chroma']).toBe(0);
  expect(decide(model.manifest.policy, scores!)).toEqual({ checks: ['grayscale'], verdict: 'pass' });
  expect(await checksOf(image)).toEqual([]);
});
