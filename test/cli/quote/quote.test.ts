import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { Quote } from '#core/quote/quote.ts';
import { startLocalAws } from '#local-aws/server.ts';
import { writePhotos } from '#test/support/photo-folder.ts';
import { sluice } from '#test/support/sluice-command.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

async function quoted(...args: string[]) {
  return await sluice('quote', ...args).result;
}

describe('sluice quote', () => {
  it('says what a folder takes and costs, and counts what it could not decode', async () => {
    await using folder = await temporaryFolder();
    const photos = join(folder.path, 'photos');
    await writePhotos(photos, 40);
    const { stdout, exitCode } = await quoted(photos, '--sample', '30', '--deadline', '2h', '--json');
    expect(exitCode).toBe(0);
    const quote = Quote.parse(JSON.parse(stdout));
    expect(quote).toMatchObject({
      source: 'photos',
      model: 'quality',
      images: 40,
      sourceProblems: 0,
      sample: { seed: 1, images: 30 },
      fleet: { region: 'us-east-1', instance: 'g4dn.xlarge', market: 'spot', deadlineSeconds: 7200 },
    });
    // Each tenth file is a line of text: 4 of 40, and of 30 at most as many.
    expect(quote.sample.refused).toBeGreaterThan(0);
    expect(quote.sample.refusals).toEqual({ 'not-an-image': quote.sample.refused });
    expect(quote.refused.low).toBeLessThanOrEqual(4);
    expect(quote.refused.high).toBeGreaterThanOrEqual(4);
    expect(quote.megapixels).toBeCloseTo(0.0768, 4);
    for (const { low, estimate, high } of [quote.fleet.usd, quote.fleet.seconds, quote.decoding.cpuSeconds]) {
      expect(low).toBeLessThanOrEqual(estimate);
      expect(estimate).toBeLessThanOrEqual(high);
    }
    expect(quote.sample.strata.reduce((sum, { images }) => sum + images, 0)).toBe(40);
    for (const { sampled } of quote.sample.strata) expect(sampled).toBeGreaterThan(0);
    expect(quote.fleet.usd.estimate).toBeGreaterThan(0);
  });

  it('lists a bucket, below a prefix, and reads the sample alone', async () => {
    await using aws = await startLocalAws();
    Object.assign(process.env, aws.env);
    aws.createBucket('photos');
    const create = { width: 64, height: 48, channels: 3, background: '#a41' } as const;
    const bytes = await sharp({ create }).png().toBuffer();
    for (let i = 0; i < 30; i++) aws.objects.putObject('photos', `in/${i}.png`, bytes);
    aws.objects.putObject('photos', 'out/other.png', bytes);
    const { stdout, stderr } = await quoted('s3://photos/in/', '--sample', '8', '--json');
    expect(stderr).toMatch(/^30 images listed/);
    expect(JSON.parse(stdout)).toMatchObject({
      source: 's3://photos/in/',
      images: 30,
      bytes: 30 * bytes.length,
      sample: { images: 8, refused: 0 },
    });
  });

  it('is held against the run that follows', async () => {
    await using folder = await temporaryFolder();
    const [photos, file, out] = ['photos', 'quote.json', 'audit'].map((name) => join(folder.path, name)) as [
      string,
      string,
      string,
    ];
    await writePhotos(photos, 20);
    const { stdout: table } = await quoted(photos, '--out', file, '--spot-price', '0.2');
    expect(table).toMatch(/^20 images, .* model quality/);
    expect(table).toMatch(/unreadable +2 of the sample \(2 not-an-image\); of all, 2 \(10%\)/);
    expect(table).toMatch(/\(spot\), us-east-1/);
    await sluice('run', photos, '--out', out, '--quiet').result;
    const { stdout } = await quoted(file, '--against', out, '--json');
    const quote = Quote.parse(JSON.parse(await readFile(file, 'utf8')));
    const summary = JSON.parse(await readFile(join(out, 'summary.json'), 'utf8'));
    expect(summary.decoding).toMatchObject({ images: 20 });
    expect(JSON.parse(stdout)).toMatchObject({
      job: summary.job,
      images: 20,
      predictedCpuSeconds: quote.decoding.cpuSeconds.estimate,
      actualCpuSeconds: summary.decoding.cpuSeconds,
      error: quote.decoding.cpuSeconds.estimate / summary.decoding.cpuSeconds - 1,
      actualRefused: 2,
      remarks: [],
    });
    const { stdout: compared } = await quoted(file, '--against', out);
    expect(compared).toMatch(/predicted .*\n +actual .*\n +error +[\d.]+ % too (low|high), (in|OUT)side/i);
  });

  it('refuses an empty source, a region without prices, and flags that make no sense, before it decodes', async () => {
    await using folder = await temporaryFolder();
    const photos = join(folder.path, 'photos');
    await mkdir(photos);
    expect(await quoted(photos)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/nothing to quote in "photos": it is empty/),
    });
    await writeFile(join(folder.path, 'list.txt'), '../outside.jpg\n');
    expect((await quoted(join(folder.path, 'list.txt'))).stderr).toMatch(/none of its 1 line\(s\)/);
    const nowhere = await quoted(photos, '--region', 'eu-north-9');
    expect(nowhere).toMatchObject({ exitCode: 2 });
    expect(nowhere.stderr).toMatch(
      /expected the prices of eu-north-9 .*sluice prices refresh --region eu-north-9/s,
    );
    expect((await quoted(photos, '--instance', 'm1.small')).stderr).toMatch(/no price for "m1.small"/);
    expect((await quoted(photos, '--sample', 'many', '--seed', '-1')).stderr).toMatch(
      /sample[\s\S]*seed|seed[\s\S]*sample/,
    );
    expect((await quoted(photos, '--deadline', 'soon')).exitCode).toBe(2);
    for (const [args, message] of [
      [['--spot-price', '0'], /spotHourUsd/],
      [['--pipeline', 'sluice.pipeline.json'], /--pipeline would be ignored without --against/],
      [['--market', 'on-demand', '--spot-price', '0.2'], /--spot-price would be ignored/],
    ] as const) {
      const refused = await quoted(photos, ...args);
      expect([refused.exitCode, refused.stderr]).toEqual([2, expect.stringMatching(message)]);
    }
    const unfinished = await quoted(photos, '--against', folder.path);
    expect(unfinished.stderr).toMatch(/expected the folder of a finished "sluice run"/);
  });

  it('says that no fleet can meet a deadline, and ends with an exit code of its own', async () => {
    await using folder = await temporaryFolder();
    const photos = join(folder.path, 'photos');
    await writePhotos(photos, 10);
    const { stdout, exitCode } = await quoted(photos, '--sample', '5', '--deadline', '1s');
    expect(stdout).toMatch(/the deadline of 1 s is MISSED, and no fleet can meet it/);
    expect(exitCode).toBe(5);
  });

  it('shows how it is used', async () => {
    const { stdout, exitCode } = await quoted('--help');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/sluice quote s3:\/\/photos\/2026\/ --deadline 8h --market on-demand/);
    expect(stdout).toMatch(/sluice quote quote.json --against audit/);
  });
});
