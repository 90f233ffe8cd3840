import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { sha256Hex, shortHashOf } from '#core/canonical-json.ts';
import type { ReferenceImage } from '#models/verify/references.ts';
import type { Calibration } from './calibrate.ts';

/** Bumped when the same images would give other numbers: what was stored before is not read then. */
const VERSION = 3;

/** All that a calibration depends on. */
export interface CalibrationKey {
  readonly modelSha256: string;
  readonly imagesSha256: string;
  /** The calibrator as it is told in reports, such as "percentile 99.99". */
  readonly calibrator: string;
  readonly target: string;
  readonly activations: readonly string[];
}

const Numbers = z.array(z.number());
const Stored = z.strictObject({
  schema: z.literal(VERSION),
  ranges: z.record(
    z.string(),
    z.strictObject({ scale: z.number().positive(), zeroPoint: z.int(), dtype: z.enum(['int8', 'uint8']) }),
  ),
  factors: z.record(z.string(), z.array(z.number().positive())),
  channels: z.record(z.string(), z.strictObject({ means: Numbers, shifts: Numbers })),
});

/** Where a calibration lies: beside the model, under the name of all that it depends on. */
export function calibrationPath(modelPath: string, key: CalibrationKey): string {
  return join(dirname(modelPath), 'calibration', `${shortHashOf({ VERSION, ...key })}.json`);
}

/** A stored calibration; `undefined` where there is none that can be read: then it is made anew. */
export async function readCalibration(path: string): Promise<Calibration | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const { ranges, factors, channels } = Stored.parse(JSON.parse(text));
    return {
      ranges: new Map(Object.entries(ranges)),
      factors: new Map(Object.entries(factors).map(([name, one]) => [name, Float64Array.from(one)])),
      channels: new Map(
        Object.entries(channels).map(([name, { means, shifts }]) => [
          name,
          { means: Float64Array.from(means), shifts: Float64Array.from(shifts) },
        ]),
      ),
    };
  } catch {
    return undefined;
  }
}

export async function writeCalibration(
  path: string,
  { ranges, factors, channels }: Calibration,
): Promise<void> {
  const stored: z.infer<typeof Stored> = {
    schema: VERSION,
    ranges: Object.fromEntries(ranges),
    factors: Object.fromEntries([...factors].map(([name, one]) => [name, [...one]])),
    channels: Object.fromEntries(
      [...channels].map(([name, { means, shifts }]) => [name, { means: [...means], shifts: [...shifts] }]),
    ),
  };
  await mkdir(dirname(path), { recursive: true });
  // Whole or not at all, also where two run at once.
  const unfinished = `${path}.${process.pid}`;
  await writeFile(unfinished, `${JSON.stringify(stored)}\n`);
  await rename(unfinished, path);
}

/** Names images by their pixels, in their order: another decoder or another spec makes other images of the same files. */
export function imagesSha256(images: readonly ReferenceImage[]): string {
  return sha256Hex(images.map(({ pixels }) => sha256Hex(pixels)).join());
}
