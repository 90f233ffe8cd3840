import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { decodePart } from '#adapters/part-file.ts';
import { SluiceError } from '#core/error.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { verifyJob } from '#functions/finalizing/verify-job.ts';
import { rowsOfTables } from '#test/support/cascade-rows.ts';
import { wrapped } from '#test/support/disturbed-backfill.ts';
import {
  expectOnlyHungFailed,
  expectShadowReported,
  hangingCascade,
  MAX_SECONDS_PER_RUN,
} from '#test/support/hanging-cascade.ts';
import { query } from '#test/support/query.ts';
import { RunningPipeline } from '#test/support/running-pipeline.ts';
import { lastLine, sluice } from '#test/support/sluice-command.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import {
  expectedRows,
  writeHangingStages,
  writeTinyCascade,
  writeTinyImages,
} from '#test/support/tiny-cascade.ts';

const IMAGES = 24;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let cascade: Awaited<ReturnType<typeof hangingCascade>>;
let images: ReadonlyMap<string, Buffer>;
let photos: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  cascade = await hangingCascade(folder.path);
  ({ photos, images } = await writeTinyImages(folder.path, IMAGES));
});
afterAll(() => folder[Symbol.asyncDispose]());

/** How many rows of a stage stand in parts. */
async function rowsOf(stage: string, works: ObjectStore): Promise<number> {
  const { objects } = await works.list({ prefix: 'parts/' });
  const parts = objects.filter(({ key }) => key.includes(`/${stage}/`));
  const rows = await Promise.all(parts.map(async ({ key }) => decodePart((await works.get(key)).body)));
  return rows.flat().length;
}

describe('a stage whose model hangs', () => {
  it('costs no other stage anything on one machine: its images fail, and the job is finished', async () => {
    const file = join(folder.path, 'cascade.json');
    await writeFile(file, JSON.stringify(cascade));
    const { exitCode, stderr, ...result } = await sluice(
      ...['run', photos, '--cascade', file, '--out', join(folder.path, 'out'), '--json', '--pack-size', '4'],
      ...['--max-seconds-per-run', String(MAX_SECONDS_PER_RUN)],
    ).result;
    expect(exitCode, stderr).toBe(3);
    expect(stderr.match(/stage "stuck" fails: the model is given up/g)).toHaveLength(1);
    const { stages, outputs } = lastLine({ exitCode, stderr, ...result });
    const rows = await query(`SELECT * FROM '${outputs.audit}'`);
    expectOnlyHungFailed(stages, rows, IMAGES);
    const [summary, report] = await Promise.all(
      ['summary.json', 'report.html'].map((file) => readFile(join(folder.path, 'out', file), 'utf8')),
    );
    expectShadowReported(JSON.parse(summary ?? ''), rows, IMAGES);
    expect(report).toMatch(/stuck<\/bdi> at stage <bdi>colours<\/bdi> failed on \d+: .*did not end/);
  });

  it('costs no other stage anything on S3 and SQS', async () => {
    await using running = await RunningPipeline.start({
      maxDeliveries: 2,
      // What is not given back comes again long after the test: no message is lost to a slow machine.
      visibilitySeconds: 60,
      functionVisibilitySeconds: 300,
      config: {
        cascade,
        shardSize: 24,
        packSize: 12,
        worker: { maxSecondsPerRun: MAX_SECONDS_PER_RUN },
      },
    });
    for (const [key, bytes] of images) running.aws.objects.putObject(running.images, key, bytes);
    running.startFunctions();
    running.startWorker();
    await running.submit('job');
    const { completion } = await running.reached('job', 'complete', 220_000);
    const { works } = running.pipeline;
    expect(await verifyJob('job', works)).toMatchObject({ problems: [], unchecked: [] });
    const rows = await rowsOfTables(completion.tables, works);
    expectOnlyHungFailed(completion.stages, rows, IMAGES);
    const summary = await works.get('results/jobs/job/summary.json');
    expectShadowReported(JSON.parse(summary.body.toString()), rows, IMAGES);
    const told = running.log.join('').match(/"the model of a stage is given up","[^\n]*"stage":"stuck"/g);
    expect(told).toHaveLength(1);
  });

  /** A stage that hangs, and one that sees the same pieces. */
  async function twoBeside(place: string) {
    const { stages } = await writeTinyCascade(place);
    const [halves, colours] = stages as [object, { from: object; model: string }];
    const [stuck] = await writeHangingStages(place);
    return { cascade: { stages: [halves, stuck, colours] }, wellModel: colours.model };
  }

  it('keeps no other stage waiting on one machine: all their rows are written before it is given up', async () => {
    const { cascade: beside } = await twoBeside(folder.path);
    const file = join(folder.path, 'beside.json');
    await writeFile(file, JSON.stringify(beside));
    const out = join(folder.path, 'beside');
    await mkdir(join(out, '.sluice'), { recursive: true });
    const { process, result } = sluice(
      ...['run', photos, '--cascade', file, '--out', out, '--pack-size', '2', '--max-seconds-per-run', '15'],
    );
    let said = '';
    process.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    const works = new FolderStore(join(out, '.sluice'));
    while (process.exitCode === null && (await rowsOf('colours', works)) < expectedRows(IMAGES).boxes.length)
      await sleep(100);
    expect(said).not.toMatch(/given up/);
    expect(process.exitCode).toBeNull();
    process.kill('SIGKILL');
    await result;
  });

  it('keeps no other stage waiting on S3 and SQS: all their rows are written while it hangs', async () => {
    const { cascade: beside, wellModel } = await twoBeside(folder.path);
    const stages = beside.stages.map((stage) =>
      'name' in stage && stage.name === 'stuck' ? { ...stage, model: wellModel } : stage,
    );
    await using running = await RunningPipeline.start({
      visibilitySeconds: 60,
      functionVisibilitySeconds: 300,
      config: { cascade: { stages }, shardSize: 24, packSize: 2 },
    });
    for (const [key, bytes] of images) running.aws.objects.putObject(running.images, key, bytes);
    running.startFunctions();
    const released = new AbortController();
    let runs = 0;
    await running.startWorkerHere({
      engineOf: (stage, engine) =>
        stage !== 'stuck'
          ? engine
          : wrapped(engine, async (...args) => {
              if (++runs === 1) throw new SluiceError('engine-lost', 'it did not end');
              if (!released.signal.aborted) await once(released.signal, 'abort');
              return engine.run(...args);
            }),
    });
    await running.submit('job');
    const { works } = running.pipeline;
    const { boxes } = expectedRows(IMAGES);
    while ((await rowsOf('colours', works)) < boxes.length) await sleep(50);
    expect(runs).toBe(2);
    expect(await rowsOf('stuck', works)).toBe(0);
    released.abort();
    const { completion } = await running.reached('job', 'complete', 120_000);
    expect(completion.stages?.[1]).toMatchObject({ stage: 'stuck', audited: boxes.length, failed: 0 });
  });
});
