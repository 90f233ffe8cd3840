import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { lastLine, type RunLine, sluice } from './sluice-command.ts';

/** What a cascade cuts out around a box, as a share of its width and height. */
export const MARGIN = 0.1;

export interface DetectorCascade {
  readonly stages: readonly { readonly name: string; readonly model: string; readonly from?: object }[];
}

/** A detector, and mobilenet-v2 on each of its objects; both were imported into the folder. */
export function detectorCascade(
  folder: string,
  detector: string,
  labels: readonly string[] = [],
): DetectorCascade {
  const boxes = { margin: MARGIN, ...(labels.length > 0 && { labels }) };
  return {
    stages: [
      { name: 'objects', model: join(folder, detector) },
      { name: 'what', model: join(folder, 'mobilenet-v2'), from: { stage: 'objects', boxes } },
    ],
  };
}

/** Audits a folder with a cascade, by the command. @param out the output folder; the cascade's file lies beside it. */
export async function auditWith(cascade: DetectorCascade, photos: string, out: string): Promise<RunLine> {
  const file = `${out}.json`;
  await writeFile(file, JSON.stringify(cascade));
  const result = await sluice('run', photos, '--cascade', file, '--out', out, '--json', '--quiet').result;
  if (result.exitCode !== 0 || result.stderr !== '') throw new Error(`sluice run failed: ${result.stderr}`);
  return lastLine(result);
}
