import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Completion } from '#core/completion.ts';
import type { JobCost } from '#core/cost/job-cost.ts';
import { completionKey, partPrefix, planKey } from '#core/job-layout.ts';
import { Plan } from '#core/plan.ts';
import type { HeldJob } from '#core/quote/held-job.ts';
import { replayPolicy } from '#functions/finalizing/replay-policy.ts';
import { liveJob } from '#functions/live/live-job.ts';
import { forgetEarlierUsage } from '#test/support/earlier-usage.ts';
import { RunningPipeline } from '#test/support/running-pipeline.ts';
import { type CommandResult, sluice } from '#test/support/sluice-command.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const IMAGES = 20;

describe('sluice cost', () => {
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
    running.startFunctions();
    await running.startWorkerHere();
    await running.submit('one');
    await running.reached('one', 'complete');
    await running.submit('two');
    await running.reached('two', 'complete');
  });
  afterAll(async () => {
    await running[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });
  const command = (...args: string[]): Promise<CommandResult> =>
    sluice('cost', ...args, '--pipeline', pipelineFile).result;
  const json = async (...args: string[]): Promise<JobCost & { quote?: HeldJob }> =>
    JSON.parse((await command(...args, '--json')).stdout);

  it('tells what a job came to, for a person, a program, a spreadsheet and a browser', async () => {
    const csv = join(folder.path, 'items.csv');
    const page = join(folder.path, 'cost.html');
    const { exitCode, stdout, stderr } = await command('one', '--csv', csv, '--html', page);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    for (const part of ['by stage', 'by resource', 'idle GPU', 'Rekognition', 'a million', 'note: left out'])
      expect(stdout).toContain(part);
    const report = await json('one');
    expect(report).toMatchObject({ jobs: ['one'], isComplete: true, images: IMAGES });
    expect(report.usd).toBeGreaterThan(0);
    for (const { stage, usd } of report.byStage.filter(({ stage }) => stage !== 'ingest'))
      expect([stage, usd > 0]).toEqual([stage, true]);
    const lines = (await readFile(csv, 'utf8')).trim().split('\r\n');
    expect(lines).toHaveLength(report.items.length + 1);
    const usd = lines.slice(1).reduce((sum, line) => sum + Number(line.split(',').at(-1)), 0);
    expect(usd).toBeCloseTo(report.usd, 12);
    expect(await readFile(page, 'utf8')).toContain('Cost of one');
  });

  it('reckons with what it is told, and shows it', async () => {
    const file = join(folder.path, 'assumptions.json');
    await writeFile(file, JSON.stringify({ volumeGb: 0, publicIpv4: false, market: 'on-demand' }));
    const told = await json('one', '--assume', file, '--instance', 'g5.xlarge', '--memory', '1000');
    expect(told.assumptions).toMatchObject({
      instanceType: 'g5.xlarge',
      market: 'on-demand',
      volumeGb: 0,
      memoryMb: { plan: 1000, preprocess: 1000 },
    });
    const workers = told.items.filter(({ resource }) => resource === 'GPU workers');
    for (const { usd, quantity } of workers) expect(usd / quantity).toBeCloseTo(1.006, 9);
  });

  it('refuses what it cannot reckon with', async () => {
    for (const [args, message] of [
      [['none'], /there is no job "none", or it is not planned yet/],
      [[], /expected the name of a job, or --since/],
      [['--since', 'yesterday'], /--since expects a date such as/],
      [['one', '--region', 'xx-north-1'], /prices of xx-north-1 .* there are prices of us-east-1/],
      [['one', '--instance', 'p9.large'], /no price for "p9.large"/],
      [['one', '--spot-price', 'cheap'], /spotHourUsd/],
      [['one', '--assume', join(folder.path, 'nothing.json')], /expected a JSON file at/],
      [['one', '--market', 'on-demand', '--spot-price', '0.2'], /--spot-price would be ignored/],
    ] as const) {
      const { exitCode, stderr } = await command(...args);
      expect(stderr).toMatch(message);
      expect(exitCode).toBe(2);
    }
  });

  it('adds up jobs by month', async () => {
    const { stdout } = await command('--since', '2020-01-01', '--json');
    const { months, all } = JSON.parse(stdout) as {
      months: { month: string; total: JobCost; jobs: JobCost[] }[];
      all: JobCost;
    };
    expect(months.flatMap(({ jobs }) => jobs.flatMap((job) => job.jobs))).toEqual(['one', 'two']);
    expect(all.images).toBe(2 * IMAGES);
    const sum = months.reduce((usd, { total }) => usd + total.usd, 0);
    expect(sum).toBeCloseTo(all.usd, 12);
    expect((await command('--since', '2020-01-01')).stdout).toMatch(/ {2}one +20 /);
    const csv = join(folder.path, 'jobs.csv');
    const page = join(folder.path, 'nights.html');
    await command('--since', '2020-01-01', '--csv', csv, '--html', page);
    const [head = '', ...rows] = (await readFile(csv, 'utf8')).trim().split('\r\n');
    expect(rows.map((row) => row.split(',')[0])).toEqual(['one', 'two']);
    for (const row of rows) {
      const cells = Object.fromEntries(head.split(',').map((name, i) => [name, row.split(',')[i]]));
      const { usd, images, job: _, completed_at: __, usd_per_million: ___, ...parts } = cells;
      expect(Number(images)).toBe(IMAGES);
      const sumOfParts = Object.values(parts).reduce((total, part) => total + Number(part), 0);
      expect(sumOfParts).toBeCloseTo(Number(usd), 12);
    }
    expect(await readFile(page, 'utf8')).toMatch(/Cost since 2020-01-01.*Night by night.*<bdi>two<\/bdi>/s);
    expect((await command('--since', '2999-01-01')).stdout).toMatch(/0 jobs: \$0\.00 for 0 images/);
  });

  it('is held against the quote of its images', async () => {
    const file = join(folder.path, 'quote.json');
    const page = join(folder.path, 'held.html');
    const quote = (...args: string[]): Promise<CommandResult> => sluice('quote', ...args).result;
    await quote(
      `s3://${running.images}/in/`,
      '--sample',
      '8',
      '--instance',
      'g5.xlarge',
      '--spot-price',
      '0.4',
      '--out',
      file,
    );
    const against = [file, '--against', 'one', '--pipeline', pipelineFile];
    const { stdout, exitCode } = await quote(...against, '--json');
    expect(exitCode).toBe(0);
    const held = JSON.parse(stdout) as HeldJob;
    expect(held).toMatchObject({ job: 'one', planned: IMAGES, images: IMAGES });
    expect(held.remarks).toEqual([expect.stringMatching(/did not run on AWS/)]);
    const { works } = running.pipeline;
    const { usage } = Completion.parse(JSON.parse((await works.get(completionKey('one'))).body.toString()));
    const ms = (kind: string): number =>
      (usage?.stages ?? [])
        .filter(({ stage }) => stage === 'preprocess')
        .reduce((sum, stage) => sum + (stage.usage.ms[kind] ?? 0), 0);
    const actual = Object.fromEntries(held.figures.map((figure) => [figure.figure, figure.actual]));
    expect(actual['decodeSeconds']).toBeCloseTo(ms('cpu') / 1000, 9);
    expect(actual['functionSeconds']).toBeCloseTo(ms('function') / 1000, 9);
    expect(actual['unreadable']).toBe(0);
    for (const { predicted, error, isInside, ...figure } of held.figures) {
      if (figure.actual > 0) expect(error).toBeCloseTo(predicted.estimate / figure.actual - 1, 9);
      expect(isInside).toBe(predicted.low <= figure.actual && figure.actual <= predicted.high);
    }
    expect((await quote(...against)).stdout).toMatch(
      /^one: 20 images, quoted on .*\n\nprocessor time of decoding\n +predicted .*\n +actual .*\n +error +[\d.]+ % too (low|high), (in|out)side/,
    );
    // The same in the report of the job, which is reckoned with what the quote was.
    const report = await json('one', '--quote', file);
    expect(report).toMatchObject({
      quote: held,
      assumptions: { instanceType: 'g5.xlarge', spotHourUsd: 0.4 },
    });
    expect(report.usd).toBe(actual['usd']);
    const otherwise = await json('one', '--quote', file, '--instance', 'g6.xlarge');
    expect(otherwise).toMatchObject({
      quote: {
        remarks: [
          'quoted with instanceType g5.xlarge, reckoned with g6.xlarge',
          expect.stringMatching(/did not run on AWS/),
        ],
      },
    });
    const told = await command('one', '--quote', file, '--html', page);
    expect(told.stdout).toMatch(
      /the quote held against it: quoted on .*\n {2}processor time of decoding\n +quoted /,
    );
    expect(await readFile(page, 'utf8')).toMatch(/The quote.*Processor time of decoding.*side the interval/s);

    for (const [refused, message] of [
      [command('one', '--quote', 'quote.txt'), /--quote expects the file that "sluice quote --out" wrote/],
      [command('--since', '2020-01-01', '--quote', file), /--quote is held against one job/],
      [quote(file, '--against', 'none', '--pipeline', pipelineFile), /job "none" is not complete/],
    ] as const)
      expect(await refused).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(message) });
  });

  it('asks the parts of a job that does not say so itself, and tells of those that are damaged', async () => {
    const { works } = running.pipeline;
    const before = await json('one');
    const { usage, ...silent } = Completion.parse(
      JSON.parse((await works.get(completionKey('one'))).body.toString()),
    );
    await works.put(completionKey('one'), Buffer.from(JSON.stringify(silent)));
    const stageUsd = (cost: JobCost, stage: string) => cost.byStage.find((row) => row.stage === stage)?.usd;
    const asked = await json('one');
    // Here functions and workers are one process: the proof has what the worker owed after its last part.
    for (const stage of ['preprocess', 'worker']) {
      const whole = stageUsd(before, stage) ?? 0;
      expect(stageUsd(asked, stage)).toBeLessThanOrEqual(whole * (1 + 1e-9));
      expect(stageUsd(asked, stage)).toBeGreaterThan(whole / 2);
    }
    const [part] = (await works.list({ prefix: 'parts/one/' })).objects;
    await works.put(part?.key ?? '', Buffer.from('no part'));
    const { exitCode, stdout } = await command('one');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/1 of 4 parts are damaged, and what they cost is left out: parts\/one\//);
    await works.put(completionKey('one'), Buffer.from(JSON.stringify({ ...silent, usage })));
  });

  it('reckons a job whose proof is damaged from its parts, and leaves it out of a time', async () => {
    const { works } = running.pipeline;
    const proof = (await works.get(completionKey('two'))).body;
    await works.put(completionKey('two'), proof.subarray(0, proof.length / 2));
    const { exitCode, stdout } = await command('two');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/two \(not complete\): \$.*the proof of two .* is damaged: what is reckoned/s);
    const since = await command('--since', '2020-01-01');
    expect(since.exitCode).toBe(0);
    expect(since.stdout).toMatch(/ {2}one +20 .*note: left out, because its proof is damaged: two/s);
    await works.put(completionKey('two'), proof);
  });

  it('lies beside the audit report, and each of the two leads to the other', async () => {
    const out = join(folder.path, 'report.html');
    const { exitCode, stdout } = await sluice('report', 'two', '--out', out, '--pipeline', pipelineFile)
      .result;
    expect(exitCode).toBe(0);
    expect(stdout).toContain('report-cost.html');
    const [page, beside] = await Promise.all(
      ['report.html', 'report-cost.html'].map((name) => readFile(join(folder.path, name), 'utf8')),
    );
    expect(beside).toContain('Cost of two');
    expect(beside).toContain('<a href="./report.html">');
    expect(page).toContain('<a href="./report-cost.html">');
  });

  it('tells of a day of the live lane before it is over', async () => {
    running.aws.notify(running.images, running.pipeline.config.queues.events);
    const job = liveJob(new Date().toISOString());
    const bytes = running.aws.objects.getObject(running.images, 'in/0.jpg').body;
    running.aws.objects.putObject(running.images, 'live.jpg', bytes);
    const prefix = partPrefix(job, 'quality');
    while ((await running.pipeline.works.list({ prefix })).objects.length === 0) await sleep(50);
    const cost = await json(job);
    expect(cost).toMatchObject({ isComplete: false, images: 1 });
    expect(cost.byStage.find(({ stage }) => stage === 'ingest')?.usd).toBeGreaterThan(0);
    expect(cost.notes.join('\n')).toMatch(/is not complete: the 1 images that have their row so far/);
  });

  it('charges a replayed policy for itself alone', async () => {
    const { works, config } = running.pipeline;
    const { policy } = await running.pipeline.manifest();
    const stricter = { ...policy, rules: policy.rules.slice(1) };
    const options = { softwareVersion: 'test', tableFileBytes: config.tableFileBytes };
    forgetEarlierUsage();
    const { job } = await replayPolicy('two', stricter, options, works);
    const plan = Plan.parse(JSON.parse((await works.get(planKey(job))).body.toString()));
    expect(plan.usage).toEqual([]);
    const replayed = await json(job);
    const ran = replayed.items.filter(({ resource }) => resource === 'GPU workers');
    expect(ran).toEqual([]);
  });
});
