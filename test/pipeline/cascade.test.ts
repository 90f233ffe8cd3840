import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tableRows } from '#adapters/parquet-table.ts';
import { SluiceError } from '#core/error.ts';
import { redriveJob } from '#functions/finalizing/redrive.ts';
import { verifyJob } from '#functions/finalizing/verify-job.ts';
import { wrapped } from '#test/support/disturbed-backfill.ts';
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
let cascade: Pick<Awaited<ReturnType<typeof writeTinyCascade>>, 'stages'>;
let images: ReadonlyMap<string, Buffer>;
let expected: Row[];

beforeAll(async () => {
  folder = await temporaryFolder();
  const { stages, strict } = await writeTinyCascade(folder.path);
  // The second stage has a model on trial beside it.
  cascade = {
    stages: stages.map((stage) => (stage.name === 'colours' ? { ...stage, shadow: strict } : stage)),
  };
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
    // Packs of the second stage come while a worker runs: the first ones that are seen are thrown away.
    await running.startWorkerHere();
    for (let tries = 0; tries < 400 && lost === 0; tries++) {
      const { objects } = await works.list({ prefix: 'packs/' });
      const packs = objects.filter(({ key }) => key.includes('/colours/'));
      lost += packs.length;
      await works.delete(packs.map(({ key }) => key));
      await sleep(2);
    }
    expect(lost).toBeGreaterThan(0);
    await expectWhole(running);
  }, 100_000);

  it('lets no image pass of which a piece could not be judged, and mends it by redrive', async () => {
    // No function dies here: a shard comes once, however long its decoder takes to start. The poll of a worker that was
    // stopped may still be handed a pack, which is given out again after its visibility time-out.
    await using running = await start({
      maxDeliveries: 2,
      visibilitySeconds: 5,
      functionVisibilitySeconds: 300,
    });
    const { pipeline } = running;
    const { works } = pipeline;
    running.startFunctions();
    const broken = (): never => {
      throw new SluiceError('engine-failed', 'this model is broken');
    };
    const stop = await running.startWorkerHere({
      engineOf: (stage, engine) => (stage === 'colours' ? wrapped(engine, async () => broken()) : engine),
    });
    await running.submit('job');
    const { completion } = await running.reached('job', 'complete', 60_000);
    const { boxes } = expectedRows(IMAGES);
    expect(completion.stages).toMatchObject([
      { stage: 'halves', planned: IMAGES, failed: 0 },
      { stage: 'colours', planned: boxes.length, audited: 0, failed: boxes.length },
      { stage: 'sure', planned: 0, audited: 0, failed: 0 },
    ]);
    const rows = await tableRows((await works.get(completion.tables[0]?.key ?? '')).body);
    const found = new Set(boxes.map(([name]) => name.split('#')[0]));
    for (const { key, checks, verdict } of rows.slice(0, IMAGES).filter(({ state }) => state === 'audited')) {
      const unjudged = found.has(String(key));
      expect([key, checks, verdict]).toEqual([
        key,
        unjudged ? ['colours.unjudged'] : [],
        unjudged ? 'review' : 'pass',
      ]);
    }
    await stop();
    await running.startWorkerHere();
    const causes = await redriveJob('job', { works, queue: (name) => pipeline.queue(name) });
    expect(causes).toMatchObject([{ queue: 'bulk', letters: expect.any(Number) }]);
    await expectWhole(running);
  }, 100_000);

  it('refuses actions on verdicts that are known only in the end', async () => {
    const action = { on: ['reject'], lanes: ['live', 'bulk'], tag: true };
    await expect(start({ config: { cascade, actions: [action] } })).rejects.toThrow(
      /expected only the live lane/,
    );
  });
});
