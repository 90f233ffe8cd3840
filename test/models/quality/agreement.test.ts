import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import { decide } from '#core/policy.ts';
import type { RgbImage } from '#test/support/pillow.ts';
import {
  REFERENCE_CHECKS,
  type ReferenceCheck,
  referenceFlags,
  referenceScores,
} from '#test/support/quality-reference.ts';
import { NEEDS_SHARED, sharedFolder } from '#test/support/shared-folder.ts';
import { toPng, variationsOf } from '#test/support/variations.ts';
import { modelInputOf } from './model-input.ts';
import { loadQualityModel, type QualityModel, type QualityScores } from './quality-model.ts';

/** Variations are made of pictures up to this size, so that the reference takes seconds and not minutes. */
const VARIATION_SIDE_PX = 384;
/** Smaller originals are graphics of a few pixels, of which no useful variation can be made. */
const VARIATION_MIN_SIDE_PX = 96;

interface Sample {
  readonly name: string;
  readonly expected: Record<ReferenceCheck, boolean>;
  readonly actual: readonly string[];
  readonly scores: QualityScores;
}

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
      originals.push(await sampleOf(name, upright, bytes));
      // Eight of them are one landscape in all orientations.
      if (
        /Landscape_[2-8]/.test(name) ||
        Math.max(upright.widthPx, upright.heightPx) < VARIATION_MIN_SIDE_PX
      ) {
        continue;
      }
      for (const { name: change, image } of await variationsOf(await decodeUprightWithin(bytes))) {
        variations.push(await sampleOf(`${name}, ${change}`, image, await toPng(image)));
      }
    }
  }, 120_000);

  async function sampleOf(name: string, image: RgbImage, bytes: Uint8Array): Promise<Sample> {
    const input = await modelInputOf(bytes, model.manifest.preprocess);
    if (!input) throw new Error(`expected ${name} to be readable, as it was before`);
    const [scores] = await model.score([input]);
    return {
      name,
      scores: scores!,
      expected: referenceFlags(referenceScores(image)),
      actual: decide(model.manifest.policy, scores!).checks,
    };
  }

  test('on at least 97 % of all checks of the corpus and 300 or more variations', async () => {
    expect(originals.length).toBeGreaterThan(40);
    expect(variations.length).toBeGreaterThanOrEqual(300);
    const samples = [...originals, ...variations];
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

function agreement(samples: readonly Sample[], checks: readonly ReferenceCheck[]): number {
  const pairs = samples.flatMap(({ expected, actual }) =>
    checks.map((check) => expected[check] === actual.includes(check)),
  );
  return pairs.filter(Boolean).length / pairs.length;
}

/** One line per disagreement, for the message of a failing test. */
function disagreements(samples: readonly Sample[]): string {
  return samples
    .flatMap(({ name, expected, actual, scores }) =>
      REFERENCE_CHECKS.filter((check) => expected[check] !== actual.includes(check)).map(
        (check) => `${check} of ${name}: expected ${expected[check]}; ${JSON.stringify(scores)}`,
      ),
    )
    .join('\n');
}

async function decodeUpright(bytes: Uint8Array): Promise<RgbImage | undefined> {
  try {
    return await decode(sharp(bytes, { autoOrient: true }));
  } catch {
    // BMP, HEVC and one AVIF, which sharp cannot read; the reference needs their pixels too.
    return undefined;
  }
}

async function decodeUprightWithin(bytes: Uint8Array): Promise<RgbImage> {
  const side = VARIATION_SIDE_PX;
  return decode(
    sharp(bytes, { autoOrient: true }).resize(side, side, { fit: 'inside', withoutEnlargement: true }),
  );
}

async function decode(image: Sharp): Promise<RgbImage> {
  const { data, info } = await image
    .flatten({ background: { r: 255, g: 255, b: 255 } })
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { widthPx: info.width, heightPx: info.height, data: new Uint8Array(data) };
}
