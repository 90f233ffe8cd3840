import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { preprocessImage } from '#adapters/image/preprocess-image.ts';
import { type Turn, turnedPicture } from '#adapters/image/turned-picture.ts';
import { SluiceError } from '#core/error.ts';
import type { Size } from '#core/geometry.ts';
import { ImageLimits } from '#core/limits.ts';
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

/** The pixels of a reference image as if it lay otherwise; `undefined` where that cannot be had. */
export async function turnedPixels(
  path: string,
  spec: PreprocessSpec,
  turn: Turn,
): Promise<Uint8Array | undefined> {
  const limits = ImageLimits.parse({});
  const turned = await turnedPicture(await readFile(path), turn, limits.maxBufferedPixels);
  if (turned === undefined) return undefined;
  const pixels = new Uint8Array(spec.widthPx * spec.heightPx * 3);
  return (await preprocessImage(turned, spec, limits, pixels)).ok ? pixels : undefined;
}

function invalid(message: string): SluiceError {
  return new SluiceError('config-invalid', message);
}
