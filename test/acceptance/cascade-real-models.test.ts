import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { IMPORTS } from '#test/support/imported-models.ts';
import { query } from '#test/support/query.ts';
import { NEEDS_SHARED, sharedFolder } from '#test/support/shared-folder.ts';
import { lastLine, sluice } from '#test/support/sluice-command.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const good = sharedFolder('corpus', 'good');
const hasAll = good !== undefined && sharedFolder('models') !== undefined;

const PHOTOS = [
  'avif_paris_exif_orientation_5.jpg',
  'coral_cat_720p.jpg',
  'coral_face.jpg',
  'coral_hot_dog.jpg',
  'isz_sample.heic',
  'pil_hopper.iccprofile.tif',
  'pil_hopper_orientation_8.webp',
  'sharp_Landscape_6.jpg',
];
const MARGIN = 0.1;

interface Found {
  readonly label: string;
  readonly box: Readonly<Record<'leftPx' | 'topPx' | 'rightPx' | 'bottomPx', number>>;
}
interface Explained {
  readonly width: number;
  readonly height: number;
  readonly objects: readonly Found[];
}

describe.skipIf(!hasAll)(`a cascade of real models ${hasAll ? '' : NEEDS_SHARED}`, () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let photos: string;

  beforeAll(async () => {
    folder = await temporaryFolder();
    photos = join(folder.path, 'photos');
    await mkdir(photos);
    for (const name of PHOTOS) await copyFile(join(good as string, name), join(photos, name));
    for (const name of ['ultraface', 'yolox-nano', 'mobilenet-v2']) {
      const args = IMPORTS[name] as string[];
      const { exitCode, stderr } = await sluice(
        'models',
        'import',
        ...args,
        '--name',
        name,
        '--out',
        folder.path,
      ).result;
      expect(exitCode, stderr).toBe(0);
    }
  }, 120_000);
  afterAll(() => folder?.[Symbol.asyncDispose]());

  const model = (name: string): string => join(folder.path, name);

  /** What the detector says of each photo by itself. */
  async function explained(detector: string): Promise<Map<string, Explained>> {
    const all = new Map<string, Explained>();
    for (const name of PHOTOS) {
      const { stdout } = await sluice('explain', join(photos, name), '--model', model(detector), '--json')
        .result;
      all.set(name, JSON.parse(stdout) as Explained);
    }
    return all;
  }

  it.each([
    ['ultraface', [], 6],
    ['yolox-nano', [], 8],
    ['yolox-nano', ['person', 'cat', 'dog'], 6],
  ])(
    '%s, boxes of %j: each has a row of mobilenet-v2 with its region',
    async (detector, labels, atLeast) => {
      const name = `${detector}-${labels.join('-')}`;
      const file = join(folder.path, `${name}.json`);
      const boxes = { margin: MARGIN, ...(labels.length > 0 && { labels }) };
      const stages = [
        { name: 'objects', model: model(detector) },
        { name: 'what', model: model('mobilenet-v2'), from: { stage: 'objects', boxes } },
      ];
      await writeFile(file, JSON.stringify({ stages }));
      const out = join(folder.path, name);
      const result = await sluice('run', photos, '--cascade', file, '--out', out, '--json', '--quiet').result;
      expect(result).toMatchObject({ exitCode: 0, stderr: '' });
      const { outputs } = lastLine(result);
      const rows = await query(
        `SELECT key, region, parent_key, state, width, height FROM '${outputs.audit}' WHERE stage = 'what'`,
      );
      const images = await query(
        `SELECT key, score_detections FROM '${outputs.audit}' WHERE stage = 'objects' ORDER BY key`,
      );
      const expected: string[] = [];
      for (const [key, { width, height, objects }] of await explained(detector)) {
        expect(images.find((row) => row['key'] === key)?.['score_detections']).toBe(objects.length);
        for (const { label, box } of objects) {
          if (labels.length > 0 && !labels.includes(label)) continue;
          const x = side(box.leftPx, box.rightPx, width);
          const y = side(box.topPx, box.bottomPx, height);
          expected.push(`${key} ${x[0]},${y[0]},${x[1] - x[0]},${y[1] - y[0]}`);
        }
      }
      // Two objects in the very same place are one piece.
      expect(rows.map((row) => `${row['key']} ${row['region']}`)).toEqual([...new Set(expected)]);
      expect(expected.length).toBeGreaterThanOrEqual(atLeast);
      for (const row of rows) {
        const [, , width, height] = String(row['region']).split(',').map(Number);
        expect(row).toMatchObject({ state: 'audited', parent_key: row['key'], width, height });
      }
    },
    120_000,
  );
});

/** From where to where a box reaches with its margin, in whole pixels of the picture. */
function side(from: number, to: number, length: number): [number, number] {
  const margin = (to - from) * MARGIN;
  return [Math.max(0, Math.floor(from - margin)), Math.min(length, Math.ceil(to + margin))];
}
