import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { z } from 'zod';
import type { Detection } from '#core/decode/detection.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { encodeNpy } from '#core/npy.ts';

const GoldenObject = z.strictObject({
  label: z.string(),
  score: z.number(),
  box: z.strictObject({
    leftPx: z.number(),
    topPx: z.number(),
    rightPx: z.number(),
    bottomPx: z.number(),
  }),
});

/** What a model gave when it was found right: kept beside it, so that any later machine can check itself against it. */
const Golden = z.strictObject({
  schema: z.literal(2),
  modelSha256: z.string(),
  preprocessHash: z.string(),
  softwareVersion: z.string(),
  decoderVersion: z.string(),
  /** The threshold of a detector when its objects were stored. */
  minScore: z.number().optional(),
  images: z
    .array(
      z.strictObject({
        file: z.string(),
        /** Size of the upright original, which boxes are in pixels of. */
        widthPx: z.int().min(1),
        heightPx: z.int().min(1),
        scores: z.record(z.string(), z.number()),
        /** What a detector found in it, the best first; empty for any other model. */
        objects: z.array(GoldenObject),
      }),
    )
    .min(1),
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
    const reason = cause instanceof z.ZodError ? z.prettifyError(cause) : messageOf(cause);
    throw new SluiceError(
      'model-invalid',
      `"${results}" is not as expected; "sluice models verify --images …" stores it anew: ${reason}`,
      { cause },
    );
  }
}

/** An image, and what the model gave for it. */
export interface GoldenImage extends Omit<Golden['images'][number], 'file' | 'objects'> {
  readonly path: string;
  readonly objects: readonly Detection[];
}

/** Stores results with copies of their images, in place of what was stored before. */
export async function writeGolden(
  modelFolder: string,
  facts: Omit<Golden, 'schema' | 'images'>,
  images: readonly GoldenImage[],
  pixels: { shape: readonly number[]; data: Uint8Array },
): Promise<void> {
  const { folder, pixels: pixelsPath, results } = goldenPaths(modelFolder);
  // Copied first and swapped in afterwards: the images may be the golden ones themselves.
  const copies = await Promise.all(images.map(({ path }) => readFile(path)));
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const stored: Golden['images'] = [];
  for (const [i, { path, objects, ...result }] of images.entries()) {
    const file = `${String(i).padStart(3, '0')}${extname(basename(path)).toLowerCase()}`;
    await writeFile(join(folder, file), copies[i] as Buffer);
    stored.push({ file, ...result, objects: [...objects] });
  }
  await writeFile(pixelsPath, encodeNpy(pixels.shape, pixels.data));
  const golden: Golden = { schema: 2, ...facts, images: stored };
  await writeFile(results, `${JSON.stringify(golden, null, 2)}\n`);
}
