import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sluice } from '#test/support/sluice-command.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

async function planned(...args: string[]) {
  return await sluice('plan-capacity', ...args).result;
}

describe('sluice plan-capacity', () => {
  it('finds a fleet that meets the deadline, and a smaller one for a later deadline', async () => {
    const of = async (deadline: string) => {
      const { stdout } = await planned(
        ...['--images', '10M', '--deadline', deadline, '--source-partitions', '4', '--json'],
      );
      return JSON.parse(stdout);
    };
    const [soon, late] = [await of('90min'), await of('6h')];
    for (const plan of [soon, late]) {
      expect(plan.inTime).toBe(true);
      expect(plan.seconds).toBeLessThanOrEqual(plan.deadlineSeconds);
      expect(plan.cost.items.reduce((sum: number, { usd }: { usd: number }) => sum + usd, 0)).toBeCloseTo(
        plan.cost.usd,
      );
      expect(plan.samples.at(-1)).toMatchObject({ inferred: 1e7, workers: 0 });
      expect(plan.samples.at(-1).usd).toBeCloseTo(plan.cost.usd);
    }
    expect(late.functions.concurrency).toBeLessThan(soon.functions.concurrency);
  });

  it('says so where no fleet is fast enough, and what held it back', async () => {
    const { stdout, exitCode } = await planned('--images', '50M', '--deadline', '1h');
    expect(stdout).toMatch(/the deadline of 1 h 0 min is MISSED, and no fleet can meet it/);
    expect(stdout).toMatch(/BINDS S3: reads of the source: .*--source-partitions/);
    expect(exitCode).toBe(5);
  });

  it('writes plots that say the same as the table', async () => {
    await using folder = await temporaryFolder();
    const out = join(folder.path, 'plots');
    const { stdout } = await planned('--images', '1M', '--out', out);
    expect(stdout).toMatch(/^1,000,000 images, g4dn.xlarge \(spot\), us-east-1/);
    expect((await readdir(out)).sort()).toEqual([
      'backlog.svg',
      'cost.svg',
      'fleet.svg',
      'functions.svg',
      'utilisation.svg',
    ]);
    const svg = await readFile(join(out, 'fleet.svg'), 'utf8');
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg".*GPU workers.*<\/svg>\s*$/su);
    expect(svg.match(/<path/g)).toHaveLength(2);
    expect(svg).not.toMatch(/NaN|Infinity/);
  });

  it('takes service times of your own, one by one', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'own.json');
    await writeFile(file, JSON.stringify({ workerImageMs: 4, firstByteMs: 20 }));
    const { stdout } = await planned('--images', '1M', '--measurements', file, '--json');
    const plan = JSON.parse(stdout);
    expect(plan.workers.imagesPerSecond).toBeCloseTo(1000 / (4 + 2 / 256));
    expect(plan.functions.heldBackBy).toBe('processor');
    expect(plan.assumed).not.toHaveProperty('workerImageMs');
  });

  it('takes the rest from a scenario file, and lets flags win over it', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'scenario.json');
    const scenario = {
      megapixels: 2,
      functions: { concurrency: 30 },
      scaling: { maxWorkers: 3 },
      maxBacklogPacks: 900,
    };
    await writeFile(file, JSON.stringify(scenario));
    const args = ['--images', '2M', '--scenario', file, '--deadline', '9h', '--json'];
    const fromFile = JSON.parse((await planned(...args)).stdout);
    expect(fromFile).toMatchObject({
      functions: { concurrency: 30 },
      workers: { max: 3 },
      backlog: { limitPacks: 900 },
    });
    const withFlags = JSON.parse((await planned(...args, '--concurrency', '12')).stdout);
    expect(withFlags).toMatchObject({ functions: { concurrency: 12 }, workers: { max: 3 } });
    expect(fromFile.environment).toEqual({
      pipeline: { preprocess: { concurrency: 30 }, maxBacklogPacks: 900 },
      fleet: { maxWorkers: 3, growAtPacks: fromFile.settings.growAtPacks },
    });
    await writeFile(file, JSON.stringify({ ...scenario, scaling: { maxWorker: 3 } }));
    expect((await planned(...args)).stderr).toMatch(/Unrecognized key: "maxWorker"/);
    await writeFile(file, '{');
    expect((await planned(...args)).stderr).toMatch(/expected a JSON file at/);
  });

  it('says what stacks must be deployed with, and what of a scenario no stack can have', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'scenario.json');
    await writeFile(file, JSON.stringify({ scaling: { idleMinutes: 2 } }));
    const args = ['--images', '4M', '--pipelines', '2', '--concurrency', '20', '--max-workers', '2'];
    const { stdout } = await planned(...args, '--grow-at-packs', '300', '--scenario', file);
    expect(stdout).toMatch(
      /deploy +each of 2 stacks: {"pipeline":{"preprocess":{"concurrency":20}},"fleet":{"maxWorkers":2,"growAtPacks":300}}/,
    );
    expect(stdout).toMatch(/functions +40 at a time/);
    expect(stdout).toMatch(/no setting of a stack: scaling.idleMinutes/);
  });

  it('lists what is not usable as given', async () => {
    const bad = await planned('--images', 'many', '--megapixels', '-3');
    expect(bad.exitCode).toBe(2);
    expect(bad.stderr).toMatch(/the scenario is not usable.*images.*megapixels/su);
    const instance = await planned('--images', '1M', '--instance', 'p5.48xlarge');
    expect([instance.exitCode, instance.stderr]).toEqual([
      2,
      expect.stringMatching(/no price for "p5.48xlarge"/),
    ]);
    const noSpot = await planned('--images', '1M', '--instance', 'g5.xlarge');
    expect([noSpot.exitCode, noSpot.stderr]).toEqual([
      0,
      expect.stringMatching(/no spot price of g5.xlarge/),
    ]);
    expect(noSpot.stdout).toMatch(/hours of g5.xlarge \(on-demand\) at \$1.006/);
    const region = await planned('--images', '1M', '--region', 'eu-west-9');
    expect([region.exitCode, region.stderr]).toEqual([2, expect.stringMatching(/sluice prices refresh/)]);
    const deadline = await planned('--images', '1M', '--deadline', 'tonight');
    expect([deadline.exitCode, deadline.stderr]).toEqual([2, expect.stringMatching(/deadlineS/)]);
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'scenario.json');
    for (const [text, got] of [
      ['null', /got null/],
      ['[]', /got a list/],
      [
        '{"scaling": {"minWorkers": 5, "maxWorkers": 2}}',
        /minWorkers.*at most maxWorkers|at most maxWorkers.*minWorkers/s,
      ],
      ['{"scaling": 3}', /scaling/],
    ] as const) {
      await writeFile(file, text);
      const refused = await planned('--images', '1M', '--scenario', file);
      expect([refused.exitCode, refused.stderr]).toEqual([2, expect.stringMatching(got)]);
    }
    for (const [args, got] of [
      [['--spot-price', '0'], /spotHourUsd/],
      [['--region', '../../x'], /expected a region such as us-east-1, got/],
      [['--out', file], /expected --out to be a folder/],
      [['--market', 'on-demand', '--spot-price', '0.2'], /--spot-price would be ignored/],
      [['--market', 'on-demand', '--interruptions', '1'], /--interruptions would be ignored/],
    ] as const) {
      const refused = await planned('--images', '1M', ...args);
      expect([refused.exitCode, refused.stderr]).toEqual([2, expect.stringMatching(got)]);
    }
  });
});
