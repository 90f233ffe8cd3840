import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import type { RgbImage } from '#test/support/pillow.ts';
import {
  agreement,
  decode,
  decodeUpright,
  disagreements,
  type Sample,
  sampleOf,
} from '#test/support/quality-agreement.ts';
import { REFERENCE_CHECKS } from '#test/support/quality-reference.ts';
import { NEEDS_SHARED, sharedFolder } from '#test/support/shared-folder.ts';
import { toPng, variationsOf } from '#test/support/variations.ts';
import { loadQualityModel, type QualityModel } from './quality-model.ts';

/** Variations are made of pictures up to this size, so that the reference takes seconds and not minutes. */
const VARIATION_SIDE_PX = 384;
/** Smaller originals are graphics of a few pixels, of which no useful variation can be made. */
const VARIATION_MIN_SIDE_PX = 96;

const corpus = sharedFolder('corpus', 'good');

describe.skipIf(!corpus)(`quality agrees with the reference at full resolution ${NEEDS_SHARED}`, () => {
  let model: QualityModel;
  const originals: Sample[] = [];
  const variations: Sample[] = [];

  beforeAll(async () => {
    model = await loadQualityModel();
    for (const name of readdirSync(corpus!).filter((file) => file !== 'INDEX.tsv')) {
      const bytes = await readFile(join(corpus!, name));
      const upright = await decodeUpright(bytes);
      if (!upright) continue;
      originals.push(await sampleOf(model, name, upright, bytes));
      // Eight of them are one landscape in all orientations.
      if (
        /Landscape_[2-8]/.test(name) ||
        Math.max(upright.widthPx, upright.heightPx) < VARIATION_MIN_SIDE_PX
      ) {
        continue;
      }
      for (const { name: change, image } of await variationsOf(await decodeUprightWithin(bytes))) {
        variations.push(await sampleOf(model, `${name}, ${change}`, image, await toPng(image)));
      }
    }
  });

  test('on at least 97 % of all checks of the corpus and 300 or more variations', async () => {
    expect(originals.length).toBeGreaterThan(40);
    expect(variations.length).toBeGreaterThanOrEqual(300);
    const samples = [...originals, ...variations];
    if (process.env['SLUICE_DISAGREEMENTS']) process.stderr.write(`${disagreements(samples)}\n`);
    expect(agreement(samples, REFERENCE_CHECKS), disagreements(samples)).toBeGreaterThanOrEqual(0.97);
  });

  test.each(REFERENCE_CHECKS)('on at least 97 % of the images for the check %s alone', (check) => {
    const samples = [...originals, ...variations];
    expect(agreement(samples, [check]), disagreements(samples)).toBeGreaterThanOrEqual(0.97);
  });

  test('and every check finds something and lets something pass', () => {
    for (const check of REFERENCE_CHECKS) {
      const flagged = variations.filter(({ actual }) => actual.includes(check));
      expect(flagged.length, check).toBeGreaterThan(10);
      expect(flagged.length, check).toBeLessThan(variations.length / 2);
    }
  });

  test('and a picture that the reference finds blurred because of a blur of 2 % or more is flagged here too', () => {
    const blurred = variations.filter(
      ({ name, expected }) => expected.blurry && /blurred by 0\.0[24] /.test(name),
    );
    expect(blurred.length).toBeGreaterThan(20);
    expect(blurred.filter(({ actual }) => !actual.includes('blurry')).map(({ name }) => name)).toEqual([]);
  });

  test('and no original but those that are gray is called gray', () => {
    const gray = originals.filter(({ actual }) => actual.includes('grayscale')).map(({ name }) => name);
    expect(gray).toContain('wuffs_bricks-gray.jpeg');
    expect(gray).toContain('sharp_concert.jpg');
    expect(gray).not.toContain('der_kodim07_dark.jpg');
    expect(gray).not.toContain('der_kodim17_bright.jpg');
  });
});

async function decodeUprightWithin(bytes: Uint8Array): Promise<RgbImage> {
  const side = VARIATION_SIDE_PX;
  return decode(
    sharp(bytes, { autoOrient: true }).resize(side, side, { fit: 'inside', withoutEnlargement: true }),
  );
}
