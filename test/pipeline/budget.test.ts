import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { dispatchKey } from '#core/job-layout.ts';
import { addUsage, noUsage } from '#core/usage.ts';
import { WorkerStatus } from '#core/worker-status.ts';
import { readJson } from '#functions/json-object.ts';
import { Dispatch } from '#functions/planning/dispatch-shards.ts';
import { DisturbedBackfill, IMAGES } from '#test/support/disturbed-backfill.ts';
import { dollarAnObject } from '#test/support/dollar-an-object.ts';
import { forgetEarlierUsage } from '#test/support/earlier-usage.ts';
import { RequestLog } from '#test/support/request-log.ts';
import type { RunningPipeline } from '#test/support/running-pipeline.ts';
import { sluice } from '#test/support/sluice-command.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const PACKS = IMAGES / 4;
/** Between the proof and its end a worker writes one, and perhaps another. */
const LATE_STATUSES = 2;

let backfill: DisturbedBackfill;
beforeAll(async () => {
  backfill = await DisturbedBackfill.prepare();
});

async function feeding({ pipeline }: RunningPipeline) {
  return (await readJson(pipeline.works, dispatchKey('job'), Dispatch))?.feeding;
}

describe('a job with a budget', () => {
  it('is fed until it has cost as much, says what would be enough, and goes on with that', async () => {
    await using folder = await temporaryFolder();
    const log = new RequestLog();
    await using running = await backfill.start({
      visibilitySeconds: 60,
      config: { shardSize: 4, packSize: 4 },
      // The commands change what is asked for, which no job pays.
      aws: { fault: (request) => (request.url.includes('request.json') ? undefined : log.take(request, {})) },
    });
    const file = join(folder.path, 'pipeline.json');
    await writeFile(file, JSON.stringify(running.pipeline.config));
    const { works } = running.pipeline;
    // The plan is eight objects, each pack with its part two: there is room for some of six packs, whatever is told when.
    const budget = await dollarAnObject(12);
    await running.submit('job', { budget });
    forgetEarlierUsage();
    log.begin({ endsWithProof: true });
    running.startFunctions({ budgetEveryMs: 1000 });
    const worker = running.startWorker();
    while ((await feeding(running))?.isHeld !== true) await sleep(100);
    const held = await feeding(running);
    const parts = async () => (await works.list({ prefix: 'parts/job/' })).objects.length;
    const fed = await parts();
    expect(fed).toBeGreaterThan(0);
    expect(fed).toBeLessThan(PACKS);
    // Another pack would have cost more than there was left.
    const { hold, meteredUsd = 0, committedUsd } = held ?? {};
    expect(meteredUsd).toBeGreaterThan(12 - 2);
    expect(committedUsd).toBe(0);
    // It overshoots by no more than what was in flight when the last shard was sent, and says so.
    expect(hold).toMatchObject({ reason: 'full', overshootUsd: Math.max(0, meteredUsd - 12) });
    expect(hold?.overshootUsd).toBeLessThanOrEqual(hold?.inFlightUsd ?? 0);
    expect(meteredUsd).toBeLessThanOrEqual(12 + (hold?.inFlightUsd ?? 0));
    const { exitCode, stdout } = await sluice('status', 'job', '--watch', '--pipeline', file).result;
    expect(stdout).toMatch(
      /budget {6}\$12\.00: \$\d+\.00 metered, \$0\.00 committed.*\n +no more is fed: the next shard is dearer than what is left.*\n +(not overshot|overshot by \$).*\n +sluice budget job \d+(\.\d+)?usd/,
    );
    expect(exitCode).toBe(1);
    expect((await sluice('cost', 'job', '--pipeline', file).result).stdout).toMatch(
      /note: budget: \$12\.00: .*\n.*budget: no more is fed/,
    );
    // It stays so.
    expect(await parts()).toBe(fed);

    // The smallest amount that is named sends one more shard, and no two.
    const enough = `${hold?.sufficientUsd}usd`;
    expect(await sluice('budget', 'job', enough, '--pipeline', file).result).toMatchObject({ exitCode: 0 });
    const isHeldAnew = async () => {
      const now = await feeding(running);
      return now?.isHeld === true && now.budgetUsd === hold?.sufficientUsd;
    };
    while (!(await isHeldAnew())) await sleep(100);
    expect(await parts()).toBe(fed + 1);

    const more = await sluice('budget', 'job', '1000usd', '--pipeline', file).result;
    expect(more).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/job may cost \$1000 in all/) });
    await backfill.expectWhole(running);
    // Over two stops the usage of the job and of the idle pipeline are what the server has seen of it.
    const { completion } = await running.reached('job', 'complete');
    worker.kill('SIGTERM');
    await once(worker, 'close');
    const [status] = (await works.list({ prefix: 'workers/' })).objects;
    const { untold = [] } = WorkerStatus.parse(
      JSON.parse((await works.get(status?.key ?? '')).body.toString()),
    );
    const total = noUsage();
    for (const { usage } of [...(completion.usage?.stages ?? []), ...untold]) addUsage(total, usage);
    // The worker may have written its status after the proof, when the log had ended.
    const seen = log.counts['s3:PutObject']?.count ?? 0;
    const isLate = (total.requests['s3:PutObject']?.count ?? 0) - seen;
    expect(isLate).toBeGreaterThanOrEqual(0);
    expect(isLate).toBeLessThanOrEqual(LATE_STATUSES);
    expect(completion.usage).toMatchObject({ parts: PACKS, silentParts: 0 });
    const late = await sluice('budget', 'job', '1usd', '--pipeline', file).result;
    expect(late).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/cannot be changed: it is complete/),
    });
  }, 240_000);

  it('that is too small to plan it says so, and what would be enough', async () => {
    await using folder = await temporaryFolder();
    await using running = await backfill.start({ visibilitySeconds: 60 });
    const file = join(folder.path, 'pipeline.json');
    await writeFile(file, JSON.stringify(running.pipeline.config));
    forgetEarlierUsage();
    running.startFunctions({ budgetEveryMs: 1000 });
    await running.startWorkerHere();
    await running.submit('job', { budget: await dollarAnObject(1) });
    while ((await feeding(running))?.isHeld !== true) await sleep(100);
    const hold = (await feeding(running))?.hold;
    expect(hold?.reason).toBe('planning-exceeds');
    const { stdout } = await sluice('status', 'job', '--pipeline', file).result;
    expect(stdout).toMatch(/to plan the job has cost the whole budget\n +overshot by \$\d/);
    expect(hold?.wholeUsd).toBeGreaterThan(hold?.sufficientUsd ?? 0);
    await sluice('budget', 'job', '1000usd', '--pipeline', file).result;
    await backfill.expectWhole(running);
  }, 240_000);

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
