import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { goldenPaths, readGolden, writeGolden } from '#adapters/golden.ts';
import { decoderVersion } from '#adapters/image/preprocess-image.ts';
import type { LoadedModel } from '#adapters/model-folder.ts';
import { softwareVersion } from '#adapters/software-version.ts';
import type { ImageResult } from '#core/decode/read-outputs.ts';
import { SluiceError } from '#core/error.ts';
import { type PixelDifference, pixelDifference } from '#core/image/pixel-difference.ts';
import { parseNpy } from '#core/npy.ts';
import { preprocessHash } from '#core/preprocess-spec.ts';
import { diagnosis } from './compare-pixels.ts';
import {
  atThreshold,
  boxFailures,
  compareResults,
  type ExpectedResult,
  type ResultDifference,
  resultFailures,
  withoutWeaker,
} from './compare-results.ts';
import { readExpected } from './expected-results.ts';
import { toInput, toLevels } from './input-tensor.ts';
import { listImages, preprocessAll, type ReferenceImage, turnedPixels } from './references.ts';
import { resultsOfOriginal, resultsOfPrepared } from './run-model.ts';
import type { Tolerances } from './tolerances.ts';

export interface VerifyRequest {
  readonly model: LoadedModel;
  /** Files and folders; none stands for the golden ones that are stored beside the model. */
  readonly images: readonly string[];
  /** .npy: what training code fed the model with, or the picture before it scaled the levels. */
  readonly tensor?: string | undefined;
  /** .json or .npy: the scores that are right; .json may name objects. */
  readonly expected?: string | undefined;
  /** The model as it was before import. */
  readonly original?: string | undefined;
  readonly tolerances: Tolerances;
  /** Store the results beside the model where all is within the tolerances. */
  readonly store: boolean;
}

export interface VerifyReport {
  readonly images: number;
  readonly pixels:
    | (PixelDifference & { readonly worst: string; readonly diagnosis: string | undefined })
    | undefined;
  /** By what the scores were compared with. */
  readonly scores: readonly (ResultDifference & { readonly against: string })[];
  /** Whether anything here tells that pictures are preprocessed as in training; the original model does not. */
  readonly preprocessingChecked: boolean;
  /** What is beyond the tolerances; empty where all is well. */
  readonly failures: readonly string[];
  /** Where golden results were stored: only of a model whose preprocessing was checked. */
  readonly stored: string | undefined;
}

/**
 * Compares a model here with what it was in training: the pixels it sees, and the scores it gives.
 *
 * @throws SluiceError `config-invalid` where there is nothing to compare with, or a reference does not fit.
 */
export async function verifyModel(request: VerifyRequest): Promise<VerifyReport> {
  const { model, tolerances } = request;
  const { manifest } = model;
  const { paths, tensor, expected, minScore } = await referencesOf(request);
  const images = await preprocessAll(paths, manifest.preprocess);
  const names = paths.map((path) => basename(path));

  const levels = tensor === undefined ? undefined : await referenceLevels(tensor, request, images.length);
  const pixels = levels === undefined ? undefined : await comparePixels(images, names, levels, request);
  const own = await resultsOfPrepared(model, images, tolerances.maxScoreDifference);
  const compared = (against: string, results: readonly ExpectedResult[]) => ({
    against,
    ...compareResults(names, results, own, withoutWeaker(manifest, minScore), tolerances),
  });
  const scores = [];
  if (expected !== undefined) scores.push(compared(expected.what, expected.results));
  if (request.original !== undefined) {
    const inputs = tensor === undefined ? undefined : await referenceInputs(tensor, request, images);
    const original = await resultsOfOriginal(request.original, manifest, images, inputs);
    const results = original.map(({ scores: of, detections }) => ({ scores: of, objects: detections }));
    scores.push(compared('the original model', results));
  }
  const failures = [
    ...(pixels === undefined ? [] : pixelFailures(pixels, tolerances)),
    ...boxFailures(own),
    ...scores.flatMap((difference) => resultFailures(difference, difference.against, tolerances)),
  ];
  const preprocessingChecked = tensor !== undefined || expected !== undefined;
  // Golden results are never replaced by what was only found close to them: small steps would add up.
  const isNew = request.store && request.images.length > 0 && failures.length === 0 && preprocessingChecked;
  const stored = isNew ? await storeGolden(model, images, own) : undefined;
  return { images: images.length, pixels, scores, preprocessingChecked, failures, stored };
}

interface References {
  readonly paths: readonly string[];
  readonly tensor: string | undefined;
  readonly expected: { readonly what: string; readonly results: readonly ExpectedResult[] } | undefined;
  /** The threshold under which the expected objects were found, where it is known. */
  readonly minScore?: number | undefined;
}

async function referencesOf(request: VerifyRequest): Promise<References> {
  const { model, tensor, expected, original } = request;
  const folder = dirname(model.modelPath);
  if (request.images.length > 0) {
    const paths = await listImages(request.images);
    if (paths.length === 0) throw invalid('there is no image among those that were named');
    if (tensor === undefined && expected === undefined && original === undefined) {
      throw invalid(
        'there is nothing to compare with: pass --tensor (what training code fed the model with, saved by numpy.save), --expected (scores), or --original (the model before import)',
      );
    }
    const results = expected === undefined ? undefined : await readExpected(expected, model.manifest, paths);
    return { paths, tensor, expected: results && { what: basename(expected as string), results } };
  }
  const golden = await readGolden(folder);
  if (golden === undefined)
    throw invalid(
      `no golden results are stored beside "${model.manifest.name}": pass --images and what to compare them with`,
    );
  if (tensor !== undefined || expected !== undefined)
    throw invalid('--tensor and --expected belong to --images');
  const stored = goldenPaths(folder);
  return {
    paths: golden.images.map(({ file }) => join(stored.folder, file)),
    tensor: stored.pixels,
    expected: { what: 'the golden results', results: golden.images },
    minScore: golden.minScore,
  };
}

async function referenceLevels(
  path: string,
  { model }: VerifyRequest,
  images: number,
): Promise<Float32Array> {
  return toLevels(await readNpy(path), model.manifest, images);
}

/** What the original model is fed with: the saved tensor itself, or what follows from saved levels. */
async function referenceInputs(
  path: string,
  { model: { manifest } }: VerifyRequest,
  images: readonly ReferenceImage[],
): Promise<Float32Array<ArrayBuffer>[] | undefined> {
  const { prepared, preprocess } = manifest;
  if (prepared === undefined) return undefined;
  const saved = await readNpy(path);
  const perImage = saved.data.length / images.length;
  return images.map((_, i) => {
    const part = saved.data.subarray(i * perImage, (i + 1) * perImage);
    return part instanceof Uint8Array ? toInput(part, prepared, preprocess) : Float32Array.from(part);
  });
}

async function readNpy(path: string): Promise<ReturnType<typeof parseNpy>> {
  const bytes = await readFile(path).catch(() => {
    throw invalid(`there is no file "${path}"`);
  });
  return parseNpy(bytes, path);
}

async function comparePixels(
  images: readonly ReferenceImage[],
  names: readonly string[],
  reference: Float32Array,
  { model: { manifest }, tolerances }: VerifyRequest,
): Promise<NonNullable<VerifyReport['pixels']>> {
  const perImage = reference.length / images.length;
  const parts = images.map((_, i) => reference.subarray(i * perImage, (i + 1) * perImage));
  const differences = images.map(({ pixels }, i) =>
    pixelDifference(parts[i] as Float32Array, (at) => pixels[at] as number),
  );
  // One bad image must not hide among many good ones.
  const worst = differences.reduce((top, { mean }, i) => (mean > (differences[top]?.mean ?? 0) ? i : top), 0);
  const overall = {
    mean: Math.max(...differences.map(({ mean }) => mean)),
    p99: Math.max(...differences.map(({ p99 }) => p99)),
    max: Math.max(...differences.map(({ max }) => max)),
  };
  if (isWithin(overall, tolerances))
    return { ...overall, worst: names[worst] as string, diagnosis: undefined };
  const { path, pixels } = images[worst] as ReferenceImage;
  return {
    ...overall,
    worst: names[worst] as string,
    diagnosis: await diagnosis(pixels, parts[worst] as Float32Array, (turn) =>
      turnedPixels(path, manifest.preprocess, turn),
    ),
  };
}

/** Written so that NaN is not. */
function isWithin({ mean, p99 }: PixelDifference, { maxPixelMean, maxPixelP99 }: Tolerances): boolean {
  return mean <= maxPixelMean && p99 <= maxPixelP99;
}

function pixelFailures(pixels: NonNullable<VerifyReport['pixels']>, tolerances: Tolerances): string[] {
  const { mean, p99, worst } = pixels;
  if (isWithin(pixels, tolerances)) return [];
  const what = `pixels of "${worst}" differ by ${mean.toFixed(2)} levels in the mean and ${p99.toFixed(1)} at the 99th percentile (at most ${tolerances.maxPixelMean} and ${tolerances.maxPixelP99})`;
  return [pixels.diagnosis === undefined ? what : `${what}: ${pixels.diagnosis}`];
}

async function storeGolden(
  { manifest, modelPath }: LoadedModel,
  images: readonly ReferenceImage[],
  results: readonly ImageResult[],
): Promise<string> {
  const folder = dirname(modelPath);
  const { widthPx, heightPx } = manifest.preprocess;
  await writeGolden(
    folder,
    {
      modelSha256: manifest.sha256,
      preprocessHash: preprocessHash(manifest.preprocess),
      softwareVersion: softwareVersion(),
      decoderVersion: decoderVersion(),
      ...(manifest.detector !== undefined && { minScore: manifest.detector.minScore }),
    },
    images.map(({ path, source }, i) => {
      const { scores, detections } = atThreshold(results[i] as ImageResult, manifest);
      return { path, ...source, scores, objects: detections };
    }),
    {
      shape: [images.length, heightPx, widthPx, 3],
      data: Buffer.concat(images.map(({ pixels }) => pixels)),
    },
  );
  return goldenPaths(folder).folder;
}

function invalid(message: string): SluiceError {
  return new SluiceError('config-invalid', message);
}
