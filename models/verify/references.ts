import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { preprocessImage } from '#adapters/image/preprocess-image.ts';
import type { Scores } from '#core/decode/classification.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import type { Size } from '#core/geometry.ts';
import { ImageLimits } from '#core/limits.ts';
import { type ModelManifest, scoreNames } from '#core/model-manifest.ts';
import { parseNpy } from '#core/npy.ts';
import type { PreprocessSpec } from '#core/preprocess-spec.ts';

/** A reference image as this software preprocesses it. */
export interface ReferenceImage {
  readonly path: string;
  /** Size of the upright original. */
  readonly source: Size;
  /** uint8 RGB `[heightPx, widthPx, 3]`. */
  readonly pixels: Uint8Array;
}

/** Files as they are named; of folders every file that is no sidecar, by name. */
export async function listImages(paths: readonly string[]): Promise<string[]> {
  const lists = await Promise.all(
    paths.map(async (path) => {
      const found = await stat(path).catch(() => undefined);
      if (found === undefined) throw invalid(`there is no image or folder "${path}"`);
      if (!found.isDirectory()) return [path];
      const files = (await readdir(path)).filter((file) => !/^\.|\.(npy|json|tsv|txt|md)$/i.test(file));
      return files.sort().map((file) => join(path, file));
    }),
  );
  return lists.flat();
}

/** @throws SluiceError `config-invalid` where an image cannot be decoded: a reference has to be sound. */
export async function preprocessAll(
  paths: readonly string[],
  spec: PreprocessSpec,
): Promise<ReferenceImage[]> {
  const images: ReferenceImage[] = [];
  for (const path of paths) {
    const pixels = new Uint8Array(spec.widthPx * spec.heightPx * 3);
    const outcome = await preprocessImage(await readFile(path), spec, ImageLimits.parse({}), pixels);
    if (!outcome.ok)
      throw invalid(
        `the reference image "${path}" is refused (${outcome.refusal.code}: ${outcome.refusal.detail})`,
      );
    const { widthPx, heightPx } = outcome.image;
    images.push({ path, source: { widthPx, heightPx }, pixels });
  }
  return images;
}

const ExpectedScores = z.union([
  z.record(z.string(), z.record(z.string(), z.number())),
  z.array(z.record(z.string(), z.number())),
]);

/**
 * Expected scores from a file: JSON, as an object from image name to scores by name or as a list of those, or .npy,
 * `[N, scores]` in the order of the model's scores.
 */
export async function readExpected(
  path: string,
  manifest: ModelManifest,
  images: readonly string[],
): Promise<Scores[]> {
  const bytes = await readFile(path).catch((cause) => {
    throw invalid(`"${path}" cannot be read: ${messageOf(cause)}`);
  });
  const names = scoreNames(manifest);
  if (path.endsWith('.npy')) {
    const { shape, data } = parseNpy(bytes, path);
    if (data.length !== images.length * names.length)
      throw invalid(
        `expected scores [${images.length}, ${names.length}] in "${path}", got [${shape.join(', ')}]`,
      );
    return images.map((_, i) =>
      Object.fromEntries(names.map((name, j) => [name, Number(data[i * names.length + j])])),
    );
  }
  let value: z.infer<typeof ExpectedScores>;
  try {
    value = ExpectedScores.parse(JSON.parse(bytes.toString('utf8')));
  } catch (cause) {
    throw invalid(`"${path}" is not as expected: {"image.jpg": {"score": 0.9}}. ${messageOf(cause)}`);
  }
  const scores = images.map((image, i) => (Array.isArray(value) ? value[i] : value[basename(image)]));
  const lacking = images.filter((_, i) => scores[i] === undefined);
  if (lacking.length > 0)
    throw invalid(`"${path}" says nothing of ${lacking.map((one) => basename(one)).join(', ')}`);
  const unknown = [...new Set(scores.flatMap((of) => Object.keys(of ?? {})))].filter(
    (name) => !names.includes(name),
  );
  if (unknown.length > 0)
    throw invalid(
      `"${path}" names the scores ${unknown.slice(0, 5).join(', ')}, which the model does not give: it gives ${names.slice(0, 8).join(', ')} …`,
    );
  return scores as Scores[];
}

function invalid(message: string): SluiceError {
  return new SluiceError('config-invalid', message);
}
