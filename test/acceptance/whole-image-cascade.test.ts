import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runKilled } from '#test/support/killed-runs.ts';
import { query } from '#test/support/query.ts';
import { sluice } from '#test/support/sluice-command.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { writeTinyImages } from '#test/support/tiny-cascade.ts';
import { seenByStages, writeWholeImageCascade } from '#test/support/whole-image-cascade.ts';

const IMAGES = 40;
const KILLS = 4;
/** What a row says of its image, whatever else is in the job. */
const OF_IMAGE =
  'key, bytes, etag, width, height, format, content_hash, perceptual_hash, state, error_code, error_detail, model, model_sha256, preprocess_hash';

type Row = Readonly<Record<string, unknown>>;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let photos: string;
let stages: Awaited<ReturnType<typeof writeWholeImageCascade>>['stages'];
let args: (out: string) => string[];
beforeAll(async () => {
  folder = await temporaryFolder();
  ({ photos } = await writeTinyImages(folder.path, IMAGES));
  ({ stages } = await writeWholeImageCascade(folder.path));
  const file = join(folder.path, 'cascade.json');
  await writeFile(file, JSON.stringify({ stages }));
  args = (out) => ['run', photos, '--cascade', file, '--out', join(folder.path, out), '--pack-size', '4'];
});
afterAll(() => folder[Symbol.asyncDispose]());

const rowsOf = (out: string): Promise<Row[]> =>
  query(`SELECT * EXCLUDE (preprocess_ms) FROM '${join(folder.path, out, 'audit.parquet')}'`);

describe('a cascade whose stages see whole images', () => {
  it('gives each stage the rows that its model comes to by itself', async () => {
    const { exitCode, stderr } = await sluice(...args('whole'), '--quiet').result;
    expect([exitCode, stderr]).toEqual([0, '']);
    const seen = await seenByStages(IMAGES);
    for (const model of new Set(stages.map((stage) => stage.model)))
      await sluice('run', photos, '--model', model, '--out', join(model, 'alone'), '--quiet').result;
    for (const { name, model } of stages) {
      const scores = model.endsWith('strict') ? 'level_r, score_level_g' : 'red, score_green';
      const rows = (file: string, where: string): Promise<Row[]> =>
        query(`SELECT ${OF_IMAGE}, score_${scores} FROM '${join(file, 'audit.parquet')}' WHERE ${where}`);
      const keys = seen[name] as string[];
      const own = await rows(join(folder.path, 'whole'), `stage = '${name}'`);
      expect(own.map(({ key }) => key)).toEqual(keys);
      expect(own).toEqual(await rows(join(model, 'alone'), `key IN (${keys.map((key) => `'${key}'`)})`));
    }
  });

  it('reads and decodes each image once for the three stages that see all of them, and for what follows from their packs', async () => {
    const summary = JSON.parse(await readFile(join(folder.path, 'whole', 'summary.json'), 'utf8'));
    const decodedAnew = (await seenByStages(IMAGES))['smooth-reds']?.length ?? 0;
    expect(summary.decoding.images).toBe(IMAGES + decodedAnew);
  });

  it('accounts for every stage, and says of each row where it comes from', async () => {
    const summary = JSON.parse(await readFile(join(folder.path, 'whole', 'summary.json'), 'utf8'));
    const seen = await seenByStages(IMAGES);
    expect(summary.stages).toMatchObject(
      stages.map(({ name, from }) => {
        const planned = seen[name]?.length ?? 0;
        const unreadable = from === undefined ? 1 : 0;
        return { stage: name, planned, audited: planned - unreadable, unreadable, failed: 0 };
      }),
    );
    const rows = await rowsOf('whole');
    for (const { name, from } of stages) {
      for (const row of rows.filter(({ stage }) => stage === name))
        expect([row['region'], row['parent_key']]).toEqual([null, from === undefined ? null : row['key']]);
    }
  });

  it(`killed ${KILLS} times at random moments ends with the rows of an undisturbed run, in the same order`, async () => {
    const calm = JSON.parse(await readFile(join(folder.path, 'whole', 'summary.json'), 'utf8'));
    const stormy = [...args('stormy'), '--quiet'];
    await runKilled(KILLS, calm.seconds, stormy);
    const { exitCode } = await sluice(...stormy).result;
    expect(exitCode).toBe(0);
    expect(await rowsOf('stormy')).toEqual(await rowsOf('whole'));
  });
});
