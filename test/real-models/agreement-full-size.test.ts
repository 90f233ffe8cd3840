import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadQualityModel } from '#test/models/quality/quality-model.ts';
import {
  agreement,
  decodeUpright,
  disagreements,
  type Sample,
  sampleOf,
} from '#test/support/quality-agreement.ts';
import { REFERENCE_CHECKS } from '#test/support/quality-reference.ts';
import { NEEDS_SHARED, sharedFolder } from '#test/support/shared-folder.ts';
import { toPng, variationsOf } from '#test/support/variations.ts';

const corpus = sharedFolder('corpus', 'good');
/** Photographs of 0.4 to 1.9 megapixels, up to twelve times as wide as the model's picture. */
const LARGE = ['coral_cat_720p.jpg', 'der_cityscape_1600.jpg', 'der_kodim07_dark.jpg', 'ipng_kodim23.png'];

describe.skipIf(!corpus)(`quality agrees with the reference on pictures of full size ${NEEDS_SHARED}`, () => {
  const samples: Sample[] = [];
  beforeAll(async () => {
    const model = await loadQualityModel();
    for (const name of LARGE) {
      const upright = await decodeUpright(await readFile(join(corpus!, name)));
      if (!upright) throw new Error(`expected ${name} to be readable`);
      for (const { name: change, image } of await variationsOf(upright))
        samples.push(await sampleOf(model, `${name}, ${change}`, image, await toPng(image)));
    }
  }, 600_000);

  test('on at least 97 % of all checks of their variations', () => {
    if (process.env['SLUICE_DISAGREEMENTS']) process.stderr.write(`${disagreements(samples)}\n`);
    expect(samples.length).toBeGreaterThan(50);
    expect(agreement(samples, REFERENCE_CHECKS), disagreements(samples)).toBeGreaterThanOrEqual(0.97);
  });
});
