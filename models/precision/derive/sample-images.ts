import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { preprocessImage } from '#adapters/image/preprocess-image.ts';
import { SluiceError } from '#core/error.ts';
import { ImageLimits } from '#core/limits.ts';
import type { PreprocessSpec } from '#core/preprocess-spec.ts';
import { listImages, type ReferenceImage } from '#models/verify/references.ts';

/** Fewer tell nothing of the ranges of a model's values. */
export const LEAST_IMAGES = 8;
/** From so many on a part of them is held out: that part tells what the model does on images it was not fitted to. */
const LEAST_TO_HOLD_OUT = 100;
const HELD_OUT_SHARE = 0.2;

export interface SampledImage extends ReferenceImage {
  /** Of the file. */
  readonly bytes: number;
}

export interface Sample {
  readonly images: readonly SampledImage[];
  /** How many files there are, and the names of those that are no image. */
  readonly found: number;
  readonly skipped: readonly string[];
}

/**
 * Images of a folder as the model sees them: at most `maxImages`, the same ones each time. Of a larger folder they are
 * drawn from all of it. Files that cannot be decoded are left out, as a job would leave them out.
 *
 * @throws SluiceError `config-invalid` where there are too few.
 */
export async function sampleImages(
  folder: string,
  spec: PreprocessSpec,
  maxImages: number,
  onImage?: (done: number, of: number) => void,
): Promise<Sample> {
  const paths = shuffled(await listImages([folder]));
  const images: SampledImage[] = [];
  const skipped: string[] = [];
  for (const path of paths) {
    if (images.length === maxImages) break;
    const image = await readImage(path, spec);
    if (image === undefined) skipped.push(basename(path));
    else images.push(image);
    onImage?.(images.length, Math.min(maxImages, paths.length));
  }
  if (images.length >= LEAST_IMAGES) return { images, found: paths.length, skipped };
  throw new SluiceError(
    'config-invalid',
    `expected at least ${LEAST_IMAGES} images in "${folder}", and found ${images.length}` +
      `${skipped.length === 0 ? '' : ` beside ${skipped.length} files that cannot be decoded`}: ` +
      'pass a folder of 500 or more that are like those the model will see',
  );
}

/** Splits a sample into images to fit to and others to check with; of a small one both are all of it. */
export function heldOut(images: readonly SampledImage[]): {
  calibration: readonly SampledImage[];
  test: readonly SampledImage[];
  isHeldOut: boolean;
} {
  if (images.length < LEAST_TO_HOLD_OUT) return { calibration: images, test: images, isHeldOut: false };
  const kept = Math.round(images.length * HELD_OUT_SHARE);
  return { calibration: images.slice(kept), test: images.slice(0, kept), isHeldOut: true };
}

async function readImage(path: string, spec: PreprocessSpec): Promise<SampledImage | undefined> {
  const bytes = await readFile(path).catch(() => undefined);
  if (bytes === undefined) return undefined;
  const pixels = new Uint8Array(spec.widthPx * spec.heightPx * 3);
  const outcome = await preprocessImage(bytes, spec, ImageLimits.parse({}), pixels);
  if (!outcome.ok) return undefined;
  const { widthPx, heightPx } = outcome.image;
  return { path, source: { widthPx, heightPx }, pixels, bytes: bytes.length };
}

/** The same order each time (Fisher–Yates with numbers of a linear congruential generator). */
function shuffled(paths: readonly string[]): string[] {
  const result = [...paths];
  let state = 1;
  for (let i = result.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const j = Math.floor((state / 2 ** 32) * (i + 1));
    [result[i], result[j]] = [result[j] as string, result[i] as string];
  }
  return result;
}
