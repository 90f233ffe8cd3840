import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runKilled } from '#test/support/killed-runs.ts';
import { query } from '#test/support/query.ts';
import { lastLine, type RunLine, sluice } from '#test/support/sluice-command.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import {
  expectedRows,
  HEIGHT_PX,
  STRICT_RED,
  tinyImages,
  WIDTH_PX,
  writeTinyCascade,
  writeTinyImages,
} from '#test/support/tiny-cascade.ts';

const IMAGES = 90;
const KILLS = 4;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let photos: string;
let cascade: Pick<Awaited<ReturnType<typeof writeTinyCascade>>, 'stages'>;
let strict: string;
beforeAll(async () => {
  folder = await temporaryFolder();
  ({ photos } = await writeTinyImages(folder.path, IMAGES));
  ({ strict, ...cascade } = await writeTinyCascade(folder.path));
});
afterAll(() => folder[Symbol.asyncDispose]());

async function cascadeFile(name: string, change: object = {}): Promise<string> {
  const file = join(folder.path, `${name}.json`);
  await writeFile(file, JSON.stringify({ ...cascade, ...change }));
  return file;
}

async function run(name: string, change: object = {}, ...flags: string[]): Promise<RunLine> {
  const out = join(folder.path, name);
  const file = await cascadeFile(name, change);
  const result = await sluice('run', photos, '--cascade', file, '--out', out, '--json', '--quiet', ...flags)
    .result;
  expect(result).toMatchObject({ exitCode: 0, stderr: '' });
  return lastLine(result);
}

const rowsOf = (file: string) => query(`SELECT * EXCLUDE (preprocess_ms) FROM '${file}'`);
const nameOf = (row: Record<string, unknown>): string =>
  row['region'] === null ? String(row['key']) : `${row['key']}#xywh=${row['region']}`;

describe('a cascade on one machine', () => {
  it('gives each box a row of the next stage, with its region and where it comes from', async () => {
    const { outputs, planned } = await run('whole', {}, '--pack-size', '8');
    expect(planned).toBe(IMAGES);
    const rows = await rowsOf(outputs.audit);
    const of = (stage: string) => rows.filter((row) => row['stage'] === stage);
    const { boxes, sure } = expectedRows(IMAGES);
    expect(of('halves').map((row) => row['key'])).toEqual([...(await tinyImages(IMAGES)).keys()]);
    expect(of('halves').every((row) => row['region'] === null && row['parent_key'] === null)).toBe(true);
    expect(of('colours').map((row) => [nameOf(row), row['score_red']])).toEqual(boxes);
    for (const row of of('colours')) {
      expect(row).toMatchObject({ state: 'audited', parent_key: row['key'], model: 'means' });
      expect([row['width'], row['height']]).toEqual([WIDTH_PX / 2, HEIGHT_PX]);
    }
    // What a piece hands on is the piece.
    expect(of('sure').map((row) => [nameOf(row), row['parent_key']])).toEqual(
      sure.map((name) => [name, name]),
    );
    expect(rows).toHaveLength(IMAGES + boxes.length + sure.length);
  });

  it('accounts for every stage', async () => {
    const summary = JSON.parse(await readFile(join(folder.path, 'whole', 'summary.json'), 'utf8'));
    const { boxes, sure } = expectedRows(IMAGES);
    expect(summary).toMatchObject({ planned: IMAGES, audited: IMAGES - 1, unreadable: 1, failed: 0 });
    expect(summary.stages).toMatchObject([
      { stage: 'halves', model: 'halves', planned: IMAGES, audited: IMAGES - 1, unreadable: 1, failed: 0 },
      { stage: 'colours', model: 'means', planned: boxes.length, audited: boxes.length, failed: 0 },
      { stage: 'sure', model: 'means', planned: sure.length, audited: sure.length, failed: 0 },
    ]);
  });

  it('judges an image by the gravest verdict of its stages', async () => {
    const rows = await rowsOf(join(folder.path, 'whole', 'audit.parquet'));
    const veryRed = new Set(expectedRows(IMAGES).sure.map((name) => name.split('#')[0]));
    for (const row of rows.filter(({ stage }) => stage === 'halves')) {
      const verdict =
        row['state'] === 'unreadable' ? 'unreadable' : veryRed.has(String(row['key'])) ? 'reject' : 'pass';
      expect([row['key'], row['verdict']]).toEqual([row['key'], verdict]);
      expect(row['checks']).toEqual(verdict === 'reject' ? ['colours.very_red', 'sure.very_red'] : []);
    }
  });

  it('judges an image by a policy on what its stages saw, and anew without running a model', async () => {
    const policy = {
      rules: [
        { check: 'two_red', when: { measure: 'colours.count', above: 1 }, verdict: 'review' },
        { check: 'red_and_dull', when: { measure: 'colours.red', below: 210 }, verdict: 'reject' },
      ],
    };
    const { outputs } = await run('rules', { policy });
    const rows = await rowsOf(outputs.audit);
    const reds = new Map<string, number[]>();
    for (const [name, red] of expectedRows(IMAGES).boxes) {
      const key = name.split('#')[0] as string;
      reds.set(key, [...(reds.get(key) ?? []), red]);
    }
    for (const row of rows.filter(({ stage, state }) => stage === 'halves' && state === 'audited')) {
      const own = reds.get(String(row['key'])) ?? [];
      const checks = [
        ...(own.length > 1 ? ['two_red'] : []),
        ...(own.length > 0 && Math.max(...own) < 210 ? ['red_and_dull'] : []),
      ];
      expect([row['key'], row['checks']]).toEqual([row['key'], checks]);
    }
    // The same folder under other rules: nothing is decoded, and the pieces keep their rows.
    const again = await run('rules', { verdict: 'last' });
    expect(again.imagesPerSecond).toBe(0);
    const judged = await rowsOf(again.outputs.audit);
    expect(judged).toHaveLength(rows.length);
    expect(judged.find(({ key }) => key === '001.png')).toMatchObject({
      verdict: 'reject',
      checks: ['sure.very_red'],
    });
  });

  it('tells what a shadow would have decided, which decides nothing', async () => {
    const stages = cascade.stages.map((stage) =>
      stage.name === 'colours' ? { ...stage, shadow: strict } : stage,
    );
    const { outputs } = await run('shadow', { stages }, '--pack-size', '8');
    const rows = await rowsOf(outputs.audit);
    const without = rows.map(({ job, pack, ...row }) =>
      Object.fromEntries(Object.entries(row).filter(([name]) => !name.startsWith('shadow_'))),
    );
    const whole = await rowsOf(join(folder.path, 'whole', 'audit.parquet'));
    expect(without).toEqual(whole.map(({ job, pack, ...row }) => row));

    const { boxes } = expectedRows(IMAGES);
    const judged = boxes.map(([row, red]) => {
      const verdict = red > 229.5 ? 'reject' : 'pass';
      return { row, verdict, shadow: red > STRICT_RED ? 'review' : 'pass' };
    });
    const flipped = judged.filter(({ verdict, shadow }) => verdict !== shadow);
    const count = (from: string) => flipped.filter(({ verdict }) => verdict === from).length;
    const summary = JSON.parse(await readFile(join(folder.path, 'shadow', 'summary.json'), 'utf8'));
    expect(summary.shadows).toMatchObject([
      {
        stage: 'colours',
        model: 'strict',
        compared: boxes.length,
        agreed: boxes.length - flipped.length,
        flipped,
      },
    ]);
    expect(summary.shadows[0].flips).toEqual({
      'pass → review': count('pass'),
      'reject → review': count('reject'),
    });
    const ofStage = rows.filter(({ stage }) => stage === 'colours');
    expect(ofStage.map((row) => [nameOf(row), row['shadow_verdict'], row['shadow_score_level_r']])).toEqual(
      judged.map(({ row, shadow }, i) => [row, shadow, boxes[i]?.[1]]),
    );
    const report = await readFile(join(folder.path, 'shadow', 'report.html'), 'utf8');
    expect(report).toContain('Shadows');
    expect(report).toContain(flipped[0]?.row);
  });

  it('can be one stage with a shadow, beside which it says how often they agree', async () => {
    const model = cascade.stages[1]?.model;
    const file = await cascadeFile('alone', { stages: [{ name: 'colours', model, shadow: strict }] });
    const out = join(folder.path, 'alone');
    const { stdout, exitCode } = await sluice('run', photos, '--cascade', file, '--out', out).result;
    expect([exitCode, stdout]).toEqual([
      0,
      expect.stringMatching(/shadows\n +colours: strict +agrees in 77 of 89; pass → review 12\n/),
    ]);
  });

  it(`killed ${KILLS} times at random moments ends with the rows of an undisturbed run, in the same order`, async () => {
    const file = await cascadeFile('stormy');
    const out = join(folder.path, 'stormy');
    const args = ['run', photos, '--cascade', file, '--out', out, '--pack-size', '8', '--quiet'];
    const calm = JSON.parse(await readFile(join(folder.path, 'whole', 'summary.json'), 'utf8'));
    await runKilled(KILLS, calm.seconds, args);
    const resumed = lastLine(await sluice(...args, '--json').result);
    expect(await rowsOf(resumed.outputs.audit)).toEqual(
      await rowsOf(join(folder.path, 'whole', 'audit.parquet')),
    );
  });

  it.each([
    [
      'a stage that is not there',
      { name: 'b', from: { stage: 'nobody', boxes: {} } },
      /there is no stage "nobody"/,
    ],
    [
      'boxes from a classifier',
      { name: 'b', from: { stage: 'colours', boxes: {} } },
      /"means" of stage "colours" finds none/,
    ],
    [
      'a label that the detector does not know',
      { name: 'b', from: { stage: 'halves', boxes: { labels: ['cat'] } } },
      /boxes of "cat".*\(red\)/,
    ],
    [
      'a shadow that wants other pictures',
      {
        name: 'b',
        from: { stage: 'colours', images: { when: { measure: 'red', above: 1 } } },
        shadow: 'quality',
      },
      /shadow "quality", which takes pictures in another way/,
    ],
    [
      'a score that the stage does not give',
      { name: 'b', from: { stage: 'colours', images: { when: { measure: 'nsfw', above: 0.5 } } } },
      /images by "nsfw".*red, green, blue, width/,
    ],
  ])('is refused with %s, and says what is wrong', async (_, stage, message) => {
    const model = cascade.stages[1]?.model;
    const file = await cascadeFile('wrong', { stages: [...cascade.stages.slice(0, 2), { model, ...stage }] });
    const { exitCode, stderr } = await sluice(
      'run',
      photos,
      '--cascade',
      file,
      '--out',
      join(folder.path, 'x'),
    ).result;
    expect([exitCode, stderr]).toEqual([2, expect.stringMatching(message)]);
  });
});
