import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tableRows } from '#adapters/parquet-table.ts';
import { verifyJob } from '#functions/finalizing/verify-job.ts';
import { cutOut } from '#test/support/cut-out.ts';
import { auditWith, type DetectorCascade, detectorCascade, MARGIN } from '#test/support/detector-cascade.ts';
import { type ExpectedPieces, expectedPieces } from '#test/support/expected-pieces.ts';
import { importModels } from '#test/support/imported-models.ts';
import { type Judged, judgedAlone } from '#test/support/judged-alone.ts';
import { RunningPipeline } from '#test/support/running-pipeline.ts';
import { NEEDS_SHARED, sharedFolder } from '#test/support/shared-folder.ts';
import { lastLine, type RunLine, sluice } from '#test/support/sluice-command.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const corpus = sharedFolder('corpus');
const hasAll = corpus !== undefined && sharedFolder('models') !== undefined;

/** What depends on where and when a row was made. */
const PLACE = ['job', 'pack', 'preprocess_ms', 'etag'];
/** The same image at another place in another batch. */
const MAX_SCORE_DIFFERENCE = 1e-4;

type Row = Readonly<Record<string, unknown>>;

describe.skipIf(!hasAll)(`a cascade over the whole corpus ${hasAll ? '' : NEEDS_SHARED}`, () => {
  const photos = corpus as string;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let files: string[];

  beforeAll(async () => {
    folder = await temporaryFolder();
    await importModels(['ultraface', 'yolox-nano', 'mobilenet-v2'], folder.path);
    files = await filesBelow(photos);
  }, 120_000);
  afterAll(() => folder?.[Symbol.asyncDispose]());

  describe.each([
    ['ultraface', 8],
    ['yolox-nano', 50],
  ])('%s, and mobilenet-v2 on each of its objects', (detector, atLeast) => {
    let cascade: DetectorCascade;
    let judged: ReadonlyMap<string, Judged>;
    let expected: ExpectedPieces;
    let run: RunLine;
    let images: Row[];
    let pieces: Row[];

    beforeAll(async () => {
      cascade = detectorCascade(folder.path, detector);
      judged = await judgedAlone(join(folder.path, detector), photos);
      expected = expectedPieces(judged, { margin: MARGIN });
      run = await auditWith(cascade, photos, join(folder.path, `${detector}-out`));
      const rows = await tableRows(await readFile(run.outputs.audit));
      images = rows.filter((row) => row['stage'] === 'objects');
      pieces = rows.filter((row) => row['stage'] === 'what');
      expect(rows).toHaveLength(images.length + pieces.length);
    }, 120_000);

    it('has one row for each object, with its region, and no other row', () => {
      expect(expected.pieces.length).toBeGreaterThanOrEqual(atLeast);
      expect(pieces.map(({ key, region }) => ({ key, region }))).toEqual(expected.pieces);
      for (const { key, region, parent_key, state, width, height } of pieces) {
        const size = String(region).split(',').slice(2).map(Number);
        expect([state, parent_key, width, height]).toEqual(['audited', key, ...size]);
      }
    });

    it('says of every file what its detector says of it alone: how many objects, or why it is refused', () => {
      expect(images.map(({ key }) => key)).toEqual(files);
      const said = images.map(({ key, state, error_code, width, height, score_detections }) => [
        key,
        state === 'audited' ? [width, height, score_detections] : [state, error_code],
      ]);
      const alone = [...judged].map(([key, one]) => [
        key,
        'refusal' in one ? ['unreadable', one.refusal] : [one.widthPx, one.heightPx, one.objects.length],
      ]);
      expect(said).toEqual(alone);
    });

    it('accounts for every file and every piece, stage by stage', () => {
      const refused = [...judged.values()].filter((one) => 'refusal' in one).length;
      expect(refused).toBeGreaterThan(30);
      expect(run.stages).toEqual(accountedStages(files.length, refused, expected.pieces.length));
    });

    it('scores each piece as the classifier scores it as a picture of its own', async () => {
      const cut = join(folder.path, `${detector}-pieces`);
      await mkdir(cut);
      const written = await cutOut(expected.pieces, photos, cut);
      const out = join(folder.path, `${detector}-alone`);
      const model = join(folder.path, 'mobilenet-v2');
      const result = await sluice('run', cut, '--model', model, '--out', out, '--json', '--quiet').result;
      const alone = await tableRows(await readFile(lastLine(result).outputs.audit));
      const own = new Map(alone.map((row) => [row['key'], row]));
      for (const i of written) expectSameScores(pieces[i] as Row, own.get(`${i}.png`) as Row);
      expect(written.length).toBeGreaterThan(0.9 * pieces.length);
    }, 100_000);

    it('comes to the same rows on S3 and SQS', async () => {
      await using running = await RunningPipeline.start({ config: { cascade, shardSize: 40, packSize: 8 } });
      for (const key of files)
        running.aws.objects.putObject(running.images, key, await readFile(join(photos, key)));
      running.startFunctions({ processes: 2 });
      await running.startWorkerHere();
      await running.submit('job');
      const { completion } = await running.reached('job', 'complete', 240_000);
      const { works } = running.pipeline;
      expect(completion.stages).toMatchObject(run.stages ?? []);
      expect(await verifyJob('job', works)).toMatchObject({ problems: [], unchecked: [] });
      const rows: Row[] = [];
      for (const { key } of completion.tables) rows.push(...(await tableRows((await works.get(key)).body)));
      expectSameRows(rows, [...images, ...pieces]);
    }, 300_000);
  });
});

/** All of the first stage, and its pieces, all of which could be judged. */
function accountedStages(planned: number, refused: number, pieces: number): object[] {
  return [
    { stage: 'objects', planned, audited: planned - refused, unreadable: refused, failed: 0 },
    { stage: 'what', planned: pieces, audited: pieces, unreadable: 0, failed: 0 },
  ];
}

/** Keys of all files below a folder, in the order of a listing. */
async function filesBelow(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  const isFile = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).isFile()));
  return names.filter((_, i) => isFile[i]).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** In the same order, but for what depends on where and when. */
function expectSameRows(rows: readonly Row[], expected: readonly Row[]): void {
  const exact = (all: readonly Row[]): Row[] =>
    all.map((row) =>
      Object.fromEntries(Object.entries(row).filter(([name]) => !PLACE.includes(name) && !isScore(name))),
    );
  expect(exact(rows)).toEqual(exact(expected));
  for (const [i, row] of rows.entries()) expectSameScores(row, expected[i] as Row);
}

/** All scores of either row: one that is not there is null in the other. */
function expectSameScores(row: Row, expected: Row): void {
  const names = new Set([...Object.keys(row), ...Object.keys(expected)].filter(isScore));
  for (const name of names) {
    const [score, other] = [row[name] ?? null, expected[name] ?? null];
    const differs = Math.abs(Number(score) - Number(other)) > MAX_SCORE_DIFFERENCE;
    if (differs || (score === null) !== (other === null))
      expect.fail(`${row['key']} ${row['region']}: ${name} is ${score}, not ${other}`);
  }
}

function isScore(name: string): boolean {
  return name.startsWith('score_');
}
