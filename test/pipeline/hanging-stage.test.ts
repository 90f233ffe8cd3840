import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tableRows } from '#adapters/parquet-table.ts';
import { verifyJob } from '#functions/finalizing/verify-job.ts';
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
import { tinyImages } from '#test/support/tiny-cascade.ts';

const IMAGES = 24;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let cascade: Awaited<ReturnType<typeof hangingCascade>>;
let images: ReadonlyMap<string, Buffer>;

beforeAll(async () => {
  folder = await temporaryFolder();
  cascade = await hangingCascade(folder.path);
  images = await tinyImages(IMAGES);
});
afterAll(() => folder[Symbol.asyncDispose]());

describe('a stage whose model hangs', () => {
  it('costs no other stage anything on one machine: its images fail, and the job is finished', async () => {
    const photos = join(folder.path, 'photos');
    await mkdir(photos);
    for (const [key, bytes] of images) await writeFile(join(photos, key), bytes);
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
  }, 240_000);

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
    const rows: Record<string, unknown>[] = [];
    for (const { key } of completion.tables) rows.push(...(await tableRows((await works.get(key)).body)));
    expectOnlyHungFailed(completion.stages, rows, IMAGES);
    const summary = await works.get('results/jobs/job/summary.json');
    expectShadowReported(JSON.parse(summary.body.toString()), rows, IMAGES);
    const told = running.log.join('').match(/"the model of a stage is given up","[^\n]*"stage":"stuck"/g);
    expect(told).toHaveLength(1);
  }, 240_000);
});
