import sharp, { type Sharp } from 'sharp';
import { decide } from '#core/policy.ts';
import { modelInputOf } from '#test/models/quality/model-input.ts';
import type { QualityModel, QualityScores } from '#test/models/quality/quality-model.ts';
import type { RgbImage } from './pillow.ts';
import {
  REFERENCE_CHECKS,
  type ReferenceCheck,
  referenceFlags,
  referenceScores,
} from './quality-reference.ts';

/** A picture as the reference and as the model judge it. */
export interface Sample {
  readonly name: string;
  readonly expected: Record<ReferenceCheck, boolean>;
  readonly actual: readonly string[];
  readonly scores: QualityScores;
}

/** @param image what the reference sees: all pixels. @param bytes the file of the same picture, for the model. */
export async function sampleOf(
  model: QualityModel,
  name: string,
  image: RgbImage,
  bytes: Uint8Array,
): Promise<Sample> {
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

/** The share of all pairs of a picture and a check in which both say the same. */
export function agreement(samples: readonly Sample[], checks: readonly ReferenceCheck[]): number {
  const pairs = samples.flatMap(({ expected, actual }) =>
    checks.map((check) => expected[check] === actual.includes(check)),
  );
  return pairs.filter(Boolean).length / pairs.length;
}

/** One line per disagreement. With SLUICE_DISAGREEMENTS=1 tests print them; else only one that fails does. */
export function disagreements(samples: readonly Sample[]): string {
  return samples
    .flatMap(({ name, expected, actual, scores }) =>
      REFERENCE_CHECKS.filter((check) => expected[check] !== actual.includes(check)).map(
        (check) => `${check} of ${name}: expected ${expected[check]}; ${JSON.stringify(scores)}`,
      ),
    )
    .join('\n');
}

/** All pixels, upright, as sRGB on white; `undefined` where sharp cannot read the file. */
export async function decodeUpright(bytes: Uint8Array): Promise<RgbImage | undefined> {
  try {
    return await decode(sharp(bytes, { autoOrient: true }));
  } catch {
    // BMP, HEVC and one AVIF, which sharp cannot read; the reference needs their pixels too.
    return undefined;
  }
}

export async function decode(image: Sharp): Promise<RgbImage> {
  const { data, info } = await image
    .flatten({ background: { r: 255, g: 255, b: 255 } })
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { widthPx: info.width, heightPx: info.height, data: new Uint8Array(data) };
}
