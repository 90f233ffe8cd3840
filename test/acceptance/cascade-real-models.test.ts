import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditWith, detectorCascade, MARGIN } from '#test/support/detector-cascade.ts';
import { expectedPieces } from '#test/support/expected-pieces.ts';
import { importModels } from '#test/support/imported-models.ts';
import { judgedAlone } from '#test/support/judged-alone.ts';
import { query } from '#test/support/query.ts';
import { NEEDS_SHARED, sharedFolder } from '#test/support/shared-folder.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const good = sharedFolder('corpus', 'good');
const hasAll = good !== undefined && sharedFolder('models') !== undefined;

/** Several formats, upright and not; the whole corpus is the matter of `npm run test:real-models`. */
const PHOTOS = [
  'avif_paris_exif_orientation_5.jpg',
  'coral_cat_720p.jpg',
  'coral_face.jpg',
  'pil_hopper.iccprofile.tif',
  'pil_hopper_orientation_8.webp',
];

describe.skipIf(!hasAll)(`a cascade of real models ${hasAll ? '' : NEEDS_SHARED}`, () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let photos: string;

  beforeAll(async () => {
    folder = await temporaryFolder();
    photos = join(folder.path, 'photos');
    await mkdir(photos);
    for (const name of PHOTOS) await copyFile(join(good as string, name), join(photos, name));
    await importModels(['ultraface', 'yolox-nano', 'mobilenet-v2'], folder.path);
  });
  afterAll(() => folder?.[Symbol.asyncDispose]());

  it.each([
    ['ultraface', [], 6],
    ['yolox-nano', ['person', 'cat', 'dog'], 6],
  ])(
    '%s, boxes of %j: each has a row of mobilenet-v2 with its region',
    async (detector, labels, atLeast) => {
      const cascade = detectorCascade(folder.path, detector, labels);
      const { outputs } = await auditWith(cascade, photos, join(folder.path, `${detector}-out`));
      const rows = await query(
        `SELECT key, region, parent_key, state, width, height FROM '${outputs.audit}' WHERE stage = 'what'`,
      );
      const judged = await judgedAlone(join(folder.path, detector), photos);
      const { pieces } = expectedPieces(judged, { margin: MARGIN, labels });
      expect(rows.map(({ key, region }) => ({ key, region }))).toEqual(pieces);
      expect(pieces.length).toBeGreaterThanOrEqual(atLeast);
      for (const row of rows) {
        const [, , width, height] = String(row['region']).split(',').map(Number);
        expect(row).toMatchObject({ state: 'audited', parent_key: row['key'], width, height });
      }
    },
    120_000,
  );
});
