import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { dispatchKey } from '#core/job-layout.ts';
import { readJson } from '#functions/json-object.ts';
import { Dispatch } from '#functions/planning/dispatch-shards.ts';
import { DisturbedBackfill, IMAGES } from '#test/support/disturbed-backfill.ts';
import { dollarAnObject } from '#test/support/dollar-an-object.ts';
import { forgetEarlierUsage } from '#test/support/earlier-usage.ts';
import type { RunningPipeline } from '#test/support/running-pipeline.ts';
import { sluice } from '#test/support/sluice-command.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const PACKS = IMAGES / 4;

let backfill: DisturbedBackfill;
beforeAll(async () => {
  backfill = await DisturbedBackfill.prepare();
});

async function feeding({ pipeline }: RunningPipeline) {
  return (await readJson(pipeline.works, dispatchKey('job'), Dispatch))?.feeding;
}

describe('a job with a budget', () => {
  it('is fed until it has cost as much, and goes on with another budget', async () => {
    await using folder = await temporaryFolder();
    await using running = await backfill.start({ config: { shardSize: 4, packSize: 4 } });
    const file = join(folder.path, 'pipeline.json');
    await writeFile(file, JSON.stringify(running.pipeline.config));
    forgetEarlierUsage();
    running.startFunctions({ budgetEveryMs: 1000 });
    await running.startWorkerHere();
    // The plan is eight objects, each pack with its part two, of which the part is told a little later: there is room
    // for some of six packs, whatever is told when.
    await running.submit('job', { budget: await dollarAnObject(12) });
    while ((await feeding(running))?.isHeld !== true) await sleep(100);
    const held = await feeding(running);
    const parts = async () => (await running.pipeline.works.list({ prefix: 'parts/job/' })).objects.length;
    const fed = await parts();
    expect(fed).toBeGreaterThan(0);
    expect(fed).toBeLessThan(PACKS);
    // Another pack would have cost more than there was left.
    expect(held?.meteredUsd).toBeGreaterThan(12 - 2);
    expect(held?.committedUsd).toBe(0);
    // It stays so.
    await sleep(2500);
    expect(await parts()).toBe(fed);
    const { stdout, exitCode } = await sluice('status', 'job', '--watch', '--pipeline', file).result;
    expect(stdout).toMatch(
      /budget {6}\$12\.00: \$\d+\.00 metered, \$0\.00 committed.*\n.*sluice budget job <amount>/,
    );
    expect(exitCode).toBe(1);

    const more = await sluice('budget', 'job', '1000usd', '--pipeline', file).result;
    expect(more).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/job may cost \$1000 in all/) });
    await backfill.expectWhole(running);
    const late = await sluice('budget', 'job', '1usd', '--pipeline', file).result;
    expect(late).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/cannot be changed: it is complete/),
    });
  }, 120_000);

  it('is submitted with prices and assumptions of its own, and refused without a price', async () => {
    await using folder = await temporaryFolder();
    await using running = await backfill.start();
    const file = join(folder.path, 'pipeline.json');
    await writeFile(file, JSON.stringify(running.pipeline.config));
    const assume = join(folder.path, 'assume.json');
    await writeFile(assume, JSON.stringify({ instanceType: 'p9.large' }));
    const url = `s3://${running.images}/`;
    const submit = (...flags: string[]) =>
      sluice('backfill', url, '--name', 'job', '--pipeline', file, ...flags).result;
    expect(await submit('--budget', '25usd', '--assume', assume)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/no price for "p9\.large"/),
    });
    expect(await submit('--budget', 'plenty')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/expected a budget such as 25usd/),
    });
    expect(await submit('--budget', '25usd')).toMatchObject({ exitCode: 0 });
    running.startFunctions({ budgetEveryMs: 1000 });
    await running.startWorkerHere();
    await backfill.expectWhole(running);
  });
});
