import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';
import type { Detection } from '#core/decode/detection.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { type ModelManifest, scoreNames } from '#core/model-manifest.ts';
import { parseNpy } from '#core/npy.ts';
import { scoreNamesOf } from '#models/import/labels.ts';
import type { ExpectedResult } from './compare-results.ts';

/** Left, top, right, bottom in pixels of the upright original. */
const Corners = z.tuple([z.number(), z.number(), z.number(), z.number()]);

/** Scores by name, and for a detector what it has to find. */
const ExpectedImage = z
  .object({
    objects: z.array(z.strictObject({ label: z.string(), score: z.number(), box: Corners })).optional(),
  })
  .catchall(z.number());
type ExpectedImage = z.infer<typeof ExpectedImage>;

const ExpectedFile = z.union([z.array(ExpectedImage), z.record(z.string(), ExpectedImage)]);

const EXAMPLE =
  '{"image.jpg": {"score": 0.9}}, or {"image.jpg": {"objects": [{"label": "cat", "score": 0.9, "box": [left, top, right, bottom]}]}}';

/**
 * Expected results from a file: JSON, as an object from image name to scores by name or as a list of those, or .npy,
 * `[N, scores]` in the order of the model's scores.
 *
 * @throws SluiceError `config-invalid` where the file does not fit the images or the model.
 */
export async function readExpected(
  path: string,
  manifest: ModelManifest,
  images: readonly string[],
): Promise<ExpectedResult[]> {
  const bytes = await readFile(path).catch((cause) => {
    throw invalid(`"${path}" cannot be read: ${messageOf(cause)}`);
  });
  return path.endsWith('.npy')
    ? fromArray(bytes, path, scoreNames(manifest), images.length)
    : fromJson(bytes.toString('utf8'), path, manifest, images);
}

function fromArray(bytes: Buffer, path: string, names: readonly string[], images: number): ExpectedResult[] {
  const { shape, data } = parseNpy(bytes, path);
  if (data.length !== images * names.length)
    throw invalid(`expected scores [${images}, ${names.length}] in "${path}", got [${shape.join(', ')}]`);
  return Array.from({ length: images }, (_, i) => ({
    scores: Object.fromEntries(names.map((name, j) => [name, Number(data[i * names.length + j])])),
  }));
}

function fromJson(
  text: string,
  path: string,
  manifest: ModelManifest,
  images: readonly string[],
): ExpectedResult[] {
  const value = parsed(text, path);
  const found = images.map((image, i) => (Array.isArray(value) ? value[i] : value[basename(image)]));
  const lacking = images.filter((_, i) => found[i] === undefined);
  if (lacking.length > 0)
    throw invalid(`"${path}" says nothing of ${lacking.map((one) => basename(one)).join(', ')}`);
  return (found as ExpectedImage[]).map(({ objects, ...scores }) => {
    checkNames(Object.keys(scores), scoreNames(manifest), `"${path}" names the scores`);
    return { scores, objects: objects && detections(objects, path, manifest) };
  });
}

function parsed(text: string, path: string): z.infer<typeof ExpectedFile> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw invalid(`"${path}" is no JSON: ${messageOf(cause)}`);
  }
  const result = ExpectedFile.safeParse(json);
  if (result.success) return result.data;
  throw invalid(`"${path}" is not as expected: ${EXAMPLE}. ${z.prettifyError(result.error)}`);
}

function detections(
  objects: NonNullable<ExpectedImage['objects']>,
  path: string,
  { detector }: ModelManifest,
): Detection[] {
  if (detector === undefined)
    throw invalid(`"${path}" names objects, but the model is no detector: expected scores by name`);
  const { labels } = detector;
  const all = objects.map(({ label, score, box: [leftPx, topPx, rightPx, bottomPx] }) => ({
    // As people wrote it, or as it is called here.
    label: labels.includes(label) ? label : (scoreNamesOf([label])[0] as string),
    score,
    box: { leftPx, topPx, rightPx, bottomPx },
  }));
  checkNames(
    all.map(({ label }) => label),
    labels,
    `"${path}" names objects`,
  );
  return all.sort((a, b) => b.score - a.score);
}

function checkNames(named: readonly string[], known: readonly string[], what: string): void {
  const unknown = [...new Set(named)].filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw invalid(
      `${what} ${unknown.slice(0, 5).join(', ')}, which the model does not give: it gives ${known.slice(0, 8).join(', ')} …`,
    );
}

function invalid(message: string): SluiceError {
  return new SluiceError('config-invalid', message);
}
