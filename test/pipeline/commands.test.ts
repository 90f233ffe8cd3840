import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RunningPipeline } from '#test/support/running-pipeline.ts';
import { type CommandResult, sluice } from '#test/support/sluice-command.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const IMAGES = 20;

describe('the commands for a pipeline', () => {
  let running: RunningPipeline;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let pipelineFile: string;
  beforeAll(async () => {
    folder = await temporaryFolder();
    running = await RunningPipeline.start({ config: { packSize: 5 } });
    pipelineFile = join(folder.path, 'pipeline.json');
    await writeFile(pipelineFile, JSON.stringify(running.pipeline.config));
    const create = { width: 40, height: 40, channels: 3, background: '#a41' } as const;
    const bytes = await sharp({ create }).jpeg().toBuffer();
    for (let i = 0; i < IMAGES; i++) running.aws.objects.putObject(running.images, `in/${i}.jpg`, bytes);
    running.aws.objects.putObject(running.images, 'in/notes.txt', Buffer.from('no image'));
    running.startFunctions();
    await running.startWorkerHere();
  });
  afterAll(async () => {
    await running[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });
  const command = (...args: string[]): Promise<CommandResult> =>
    sluice(...args, '--pipeline', pipelineFile).result;

  it('submit a backfill and watch it to its end', async () => {
    const url = `s3://${running.images}/in/`;
    const { exitCode, stdout, stderr } = await command(
      'backfill',
      url,
      '--name',
      'one',
      '--suffix',
      '.jpg',
      '--watch',
    );
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toMatch(/submitted one: s3:/);
    expect(stdout).toMatch(/job {9}one: complete/);
    expect(stdout).toMatch(new RegExp(`100 %  ${IMAGES} of ${IMAGES}`));
  });

  it('refuse a name that is taken, a bucket that is none, and a filter that cannot be read', async () => {
    const url = `s3://${running.images}/in/`;
    expect(await command('backfill', url, '--name', 'one')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/there is a job "one" already/),
    });
    expect(await command('backfill', 'photos')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/expected s3:\/\/<bucket>\/<prefix>/),
    });
    const bad = await command(
      'backfill',
      url,
      '--min-bytes',
      'many',
      '--modified-after',
      'soon',
      '--name',
      'A b',
    );
    expect(bad.exitCode).toBe(2);
    for (const place of ['job', 'filter.minBytes', 'filter.modifiedAfter'])
      expect(bad.stderr).toContain(place);
  });

  it('tell the status as JSON, and that a job is unknown', async () => {
    const { stdout } = await command('status', 'one', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ job: 'one', state: 'complete', planned: IMAGES, failed: 0 });
    expect(await command('status', 'none')).toMatchObject({ exitCode: 2 });
  });

  it('verify the results, and write the report', async () => {
    expect(await command('verify', 'one')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/whole: one row for each planned image/),
    });
    const file = join(folder.path, 'report.html');
    expect((await command('report', 'one', '--out', file)).stdout).toMatch(/20 images = 20 audited/);
    expect(await readFile(file, 'utf8')).toMatch(/^<!doctype html>/i);
  });

  it('complete a job by hand, unless it is complete already, or there is none', async () => {
    expect(await command('finalize', 'one')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/"one" is complete already/),
    });
    expect(await command('finalize', 'none')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/there is no job "none"/),
    });
  });

  it('replay another policy, and have no dead letters to send again', async () => {
    const policy = join(folder.path, 'policy.json');
    const rule = { check: 'small', when: { measure: 'width', below: 100 }, verdict: 'reject' };
    await writeFile(policy, JSON.stringify({ rules: [rule] }));
    const { exitCode, stdout } = await command('policy', 'replay', 'one', '--policy', policy);
    expect({ exitCode, stdout }).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/reject +20/) });
    expect((await command('redrive', 'one')).stdout).toMatch(/no dead letters/);
  });

  it('refuse a policy that speaks of a measure which is not there', async () => {
    const policy = join(folder.path, 'misspelled.json');
    const rule = { check: 'small', when: { measure: 'witdh', below: 100 }, verdict: 'reject' };
    await writeFile(policy, JSON.stringify({ rules: [rule] }));
    for (const args of [
      ['policy', 'replay', 'one'],
      ['backfill', 's3://photos/'],
    ]) {
      const { exitCode, stderr } = await command(...args, '--policy', policy);
      expect([exitCode, stderr]).toEqual([2, expect.stringMatching(/"witdh".*width/)]);
    }
  });

  it('say what to do without a pipeline', async () => {
    const { exitCode, stderr } = await sluice('status', 'one', '--pipeline', 'nowhere.json').result;
    expect({ exitCode, stderr }).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/"nowhere.json"/),
    });
  });
});
