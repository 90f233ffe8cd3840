import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tableRows } from '#adapters/parquet-audit.ts';
import { completeJob } from '#functions/finalizing/complete-job.ts';
import { redriveJob } from '#functions/finalizing/redrive.ts';
import { verifyJob } from '#functions/finalizing/verify-job.ts';
import { query } from '#test/support/query.ts';
import { RunningPipeline } from '#test/support/running-pipeline.ts';
import { lastLine, sluice } from '#test/support/sluice-command.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { expectedRows, tinyImages, writeTinyCascade } from '#test/support/tiny-cascade.ts';

const IMAGES = 24;
/** What depends on where and when a row was made. */
const PLACE = ['job', 'pack', 'preprocess_ms', 'etag'];

type Row = Readonly<Record<string, unknown>>;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let cascade: Awaited<ReturnType<typeof writeTinyCascade>>;
let images: ReadonlyMap<string, Buffer>;
let expected: Row[];

beforeAll(async () => {
  folder = await temporaryFolder();
  cascade = await writeTinyCascade(folder.path);
  images = await tinyImages(IMAGES);
  const photos = join(folder.path, 'photos');
  await mkdir(photos);
  for (const [key, bytes] of images) await writeFile(join(photos, key), bytes);
  const file = join(folder.path, 'cascade.json');
  await writeFile(file, JSON.stringify(cascade));
  const out = join(folder.path, 'out');
  const run = sluice('run', photos, '--cascade', file, '--out', out, '--json', '--quiet');
  const { outputs } = lastLine(await run.result);
  expected = withoutPlace(await query(`SELECT * FROM '${outputs.audit}'`));
  const { boxes, sure } = expectedRows(IMAGES);
  expect(expected).toHaveLength(IMAGES + boxes.length + sure.length);
}, 60_000);
afterAll(() => folder[Symbol.asyncDispose]());

async function start(options: Parameters<typeof RunningPipeline.start>[0] = {}): Promise<RunningPipeline> {
  const running = await RunningPipeline.start({
    visibilitySeconds: 2,
    config: { cascade, shardSize: 12, packSize: 4 },
    ...options,
  });
  for (const [key, bytes] of images) running.aws.objects.putObject(running.images, key, bytes);
  return running;
}

function withoutPlace(rows: readonly Row[]): Row[] {
  return rows.map((row) =>
    Object.fromEntries(
      Object.entries(row)
        .filter(([name]) => !PLACE.includes(name))
        .map(([name, value]) => [name, typeof value === 'bigint' ? String(value) : value]),
    ),
  );
}

/** The job ends with the rows of a run on one machine, in the same order, and its proof holds. */
async function expectWhole(running: RunningPipeline): Promise<void> {
  const { works } = running.pipeline;
  const { completion } = await running.reached('job', 'complete', 90_000);
  const { boxes, sure } = expectedRows(IMAGES);
  expect(completion).toMatchObject({ planned: IMAGES, audited: IMAGES - 1, unreadable: 1, failed: 0 });
  expect(completion.stages).toMatchObject([
    { stage: 'halves', planned: IMAGES, audited: IMAGES - 1, unreadable: 1, failed: 0 },
    { stage: 'colours', planned: boxes.length, audited: boxes.length, unreadable: 0, failed: 0 },
    { stage: 'sure', planned: sure.length, audited: sure.length, unreadable: 0, failed: 0 },
  ]);
  expect(await verifyJob('job', works)).toMatchObject({ problems: [], unchecked: [] });
  const rows: Row[] = [];
  for (const { key } of completion.tables) rows.push(...(await tableRows((await works.get(key)).body)));
  expect(withoutPlace(rows)).toEqual(expected);
}

describe('a cascade on S3 and SQS', () => {
  it('comes to the rows of a run on one machine', async () => {
    await using running = await start();
    running.startFunctions();
    await running.startWorkerHere();
    await running.submit('job');
    await expectWhole(running);
  }, 100_000);

  it('doubles nothing when every message is delivered twice', async () => {
    await using running = await start({ aws: { duplicates: () => true } });
    running.startFunctions();
    await running.startWorkerHere();
    await running.startWorkerHere();
    await running.submit('job');
    await expectWhole(running);
  }, 100_000);

  it.each([
    ['follow-ups:before', 'colours'],
    ['follow-ups:after', 'colours'],
    ['part:after', 'halves'],
    ['send:before', ''],
    ['send:after', ''],
    ['ack:before', ''],
    ['delete:before', ''],
    ['part:after', 'colours'],
    ['follow-ups:after', 'sure'],
  ])(
    'outlives a worker that is killed at %s %s',
    async (point, stage) => {
      await using running = await start();
      running.startFunctions();
      await running.submit('job');
      const dying = running.startWorker({ DIE_AT: point, DIE_STAGE: stage }, 'test/support/dying-worker.ts');
      const [, signal] = await once(dying, 'exit');
      expect(signal).toBe('SIGKILL');
      await running.startWorkerHere();
      await expectWhole(running);
    },
    100_000,
  );

  it('has a pack of a following stage made again that was lost', async () => {
    let lost = 0;
    await using running = await start();
    const { works } = running.pipeline;
    running.startFunctions();
    await running.submit('job');
    // Packs of the second stage come while a worker runs: those that are there when it stops are thrown away.
    const stop = await running.startWorkerHere();
    const bulk = await running.pipeline.queue('bulk');
    for (let tries = 0; tries < 400 && lost === 0; tries++) {
      const { objects } = await works.list({ prefix: 'packs/' });
      const packs = objects.filter(({ key }) => key.includes('/colours/'));
      lost += packs.length;
      await works.delete(packs.map(({ key }) => key));
      await sleep(2);
    }
    expect((await bulk.depth()).waiting).toBeGreaterThanOrEqual(0);
    expect(lost).toBeGreaterThan(0);
    await expectWhole(running);
    await stop();
  }, 100_000);

  it('says which pieces failed where a stage breaks, and mends it by redrive', async () => {
    await using running = await start({ maxDeliveries: 2 });
    const { pipeline } = running;
    running.startFunctions({ only: ['plan', 'preprocess'] });
    await running.startWorkerHere();
    await running.submit('job');
    // The images are gone for a while once the first stage has seen them: nothing of the second stage can be read.
    await running.reached('job', 'running');
    await running.stopFunctions();
    running.startFunctions();
    const { completion } = await running.reached('job', 'complete', 60_000);
    expect(
      completion.stages?.every(
        ({ planned, audited, unreadable, failed }) => planned === audited + unreadable + failed,
      ),
    ).toBe(true);
    expect(await redriveJob('job', { works: pipeline.works, queue: (name) => pipeline.queue(name) })).toEqual(
      [],
    );
    expect(completeJob).toBeDefined();
  }, 100_000);

  it('refuses actions on verdicts that are known only in the end', async () => {
    const action = { on: ['reject'], lanes: ['live', 'bulk'], tag: true };
    await expect(start({ config: { cascade, actions: [action] } })).rejects.toThrow(
      /expected only the live lane/,
    );
  });
});
