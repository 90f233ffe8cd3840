import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { z } from 'zod';
import { messageOf, SluiceError } from '#core/error.ts';
import { encodeNpy } from '#core/npy.ts';

/** What a model gave when it was found right: kept beside it, so that any later machine can check itself against it. */
const Golden = z.strictObject({
  schema: z.literal(1),
  modelSha256: z.string(),
  preprocessHash: z.string(),
  softwareVersion: z.string(),
  decoderVersion: z.string(),
  images: z.array(z.strictObject({ file: z.string(), scores: z.record(z.string(), z.number()) })).min(1),
});
export type Golden = z.infer<typeof Golden>;

const FOLDER = 'golden';
const RESULTS = 'golden.json';
/** uint8 RGB `[N, H, W, 3]`. */
const PIXELS = 'pixels.npy';

/** Where the golden results of a model lie. */
export function goldenPaths(modelFolder: string): { folder: string; pixels: string; results: string } {
  const folder = join(modelFolder, FOLDER);
  return { folder, pixels: join(folder, PIXELS), results: join(folder, RESULTS) };
}

/** The stored results; `undefined` where there are none. @throws SluiceError `model-invalid` where they are damaged. */
export async function readGolden(modelFolder: string): Promise<Golden | undefined> {
  const { results } = goldenPaths(modelFolder);
  const text = await readFile(results, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return Golden.parse(JSON.parse(text));
  } catch (cause) {
    throw new SluiceError('model-invalid', `"${results}" is not as expected: ${messageOf(cause)}`, { cause });
  }
}

/** Stores results with copies of their images, in place of what was stored before. */
export async function writeGolden(
  modelFolder: string,
  facts: Omit<Golden, 'schema' | 'images'>,
  images: readonly { path: string; scores: Readonly<Record<string, number>> }[],
  pixels: { shape: readonly number[]; data: Uint8Array },
): Promise<void> {
  const { folder, pixels: pixelsPath, results } = goldenPaths(modelFolder);
  // Copied first and swapped in afterwards: the images may be the golden ones themselves.
  const copies = await Promise.all(images.map(async ({ path }) => ({ path, bytes: await readFile(path) })));
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const stored: Golden['images'] = [];
  for (const [i, { path, bytes }] of copies.entries()) {
    const file = `${String(i).padStart(3, '0')}${extname(basename(path)).toLowerCase()}`;
    await writeFile(join(folder, file), bytes);
    stored.push({ file, scores: { ...images[i]?.scores } });
  }
  await writeFile(pixelsPath, encodeNpy(pixels.shape, pixels.data));
  const golden: Golden = { schema: 1, ...facts, images: stored };
  await writeFile(results, `${JSON.stringify(golden, null, 2)}\n`);
}
