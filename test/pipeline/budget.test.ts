import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { createAwsClients } from '#adapters/aws-clients.ts';
import { untoldUsage } from '#adapters/meter.ts';
import { Pipeline } from '#adapters/pipeline.ts';
import { Completion } from '#core/completion.ts';
import { requestClass } from '#core/cost/request-class.ts';
import { completionKey, dispatchKey } from '#core/job-layout.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { addUsage, noUsage } from '#core/usage.ts';
import { WorkerStatus } from '#core/worker-status.ts';
import { readJson } from '#functions/json-object.ts';
import { Dispatch } from '#functions/planning/dispatch-shards.ts';
import { DisturbedBackfill, IMAGES } from '#test/support/disturbed-backfill.ts';
import { dollarAnObject } from '#test/support/dollar-an-object.ts';
import { forgetEarlierUsage } from '#test/support/earlier-usage.ts';
import { OBSERVER, RequestLog } from '#test/support/request-log.ts';
import { type CommandResult, sluice } from '#test/support/sluice-command.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const PACKS = IMAGES / 4;

let backfill: DisturbedBackfill;
beforeAll(async () => {
  backfill = await DisturbedBackfill.prepare();
});

async function feeding(works: ObjectStore) {
  return (await readJson(works, dispatchKey('job'), Dispatch))?.feeding;
}

/** Without what costs nothing. */
function billed<T>(requests: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(requests).filter(([kind]) => requestClass(kind) !== 'free'));
}

/** A command whose requests no log counts. */
function observed(...args: string[]): Promise<CommandResult> {
  process.env['AWS_SDK_UA_APP_ID'] = OBSERVER;
  try {
    return sluice(...args).result;
  } finally {
    delete process.env['AWS_SDK_UA_APP_ID'];
  }
}

describe('a job with a budget', () => {
  it('is fed until it has cost as much, says what would be enough, and goes on with that', async () => {
    await using folder = await temporaryFolder();
    const log = new RequestLog();
    await using running = await backfill.start({
      visibilitySeconds: 60,
      config: { shardSize: 4, packSize: 4 },
      aws: { fault: (request) => log.take(request, {}) },
    });
    const file = join(folder.path, 'pipeline.json');
    await writeFile(file, JSON.stringify(running.pipeline.config));
    // No job pays for those who look at it: this test, and whoever gives a command.
    const { works } = new Pipeline(running.pipeline.config, createAwsClients({ userAgent: OBSERVER }));
    // The plan is eight objects, each pack with its part two: there is room for some of six packs, whatever is told when.
    const budget = await dollarAnObject(12);
    await running.submit('job', { budget });
    forgetEarlierUsage();
    log.begin({ endsWithProof: false });
    running.startFunctions({ budgetEveryMs: 1000 });
    const worker = running.startWorker();
    while ((await feeding(works))?.isHeld !== true) await sleep(100);
    const held = await feeding(works);
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
    const { exitCode, stdout } = await observed('status', 'job', '--watch', '--pipeline', file);
    expect(stdout).toMatch(
      /budget {6}\$12\.00: \$\d+\.00 metered, \$0\.00 committed.*\n +no more is fed: the next shard is dearer than what is left.*\n +(not overshot|overshot by \$).*\n +sluice budget job \d+(\.\d+)?usd/,
    );
    expect(exitCode).toBe(1);
    expect((await observed('cost', 'job', '--pipeline', file)).stdout).toMatch(
      /note: budget: \$12\.00: .*\n.*budget: no more is fed/,
    );
    // It stays so.
    expect(await parts()).toBe(fed);

    // The smallest amount that is named sends one more shard, and no two.
    const enough = `${hold?.sufficientUsd}usd`;
    expect(await observed('budget', 'job', enough, '--pipeline', file)).toMatchObject({ exitCode: 0 });
    const isHeldAnew = async () => {
      const now = await feeding(works);
      return now?.isHeld === true && now.budgetUsd === hold?.sufficientUsd;
    };
    while (!(await isHeldAnew())) await sleep(100);
    expect(await parts()).toBe(fed + 1);

    const more = await observed('budget', 'job', '1000usd', '--pipeline', file);
    expect(more).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/job may cost \$1000 in all/) });
    while ((await works.list({ prefix: completionKey('job') })).objects.length === 0) await sleep(100);
    worker.kill('SIGTERM');
    await once(worker, 'close');
    await running.stopFunctions();
    // Over two stops, what the job and the idle pipeline have told is what the server has seen, kind by kind.
    const completion = await readJson(works, completionKey('job'), Completion);
    const [status] = (await works.list({ prefix: 'workers/' })).objects;
    const lastWords = await readJson(works, status?.key ?? '', WorkerStatus);
    const told = [...(completion?.usage?.stages ?? []), ...(lastWords?.untold ?? []), ...untoldUsage()];
    const total = noUsage();
    for (const { usage } of told) addUsage(total, usage);
    expect(billed(total.requests)).toEqual(billed(log.counts));
    await backfill.expectWhole(running);
    expect(completion?.usage).toMatchObject({ parts: PACKS, silentParts: 0 });
    const late = await observed('budget', 'job', '1usd', '--pipeline', file);
    expect(late).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/cannot be changed: it is complete/),
    });
  });

  it('that is too small to plan it says so, and what would be enough', async () => {
    await using folder = await temporaryFolder();
    await using running = await backfill.start({ visibilitySeconds: 60 });
    const file = join(folder.path, 'pipeline.json');
    await writeFile(file, JSON.stringify(running.pipeline.config));
    forgetEarlierUsage();
    running.startFunctions({ budgetEveryMs: 1000 });
    await running.startWorkerHere();
    await running.submit('job', { budget: await dollarAnObject(1) });
    while ((await feeding(running.pipeline.works))?.isHeld !== true) await sleep(100);
    const hold = (await feeding(running.pipeline.works))?.hold;
    expect(hold?.reason).toBe('planning-exceeds');
    const { stdout } = await sluice('status', 'job', '--pipeline', file).result;
    expect(stdout).toMatch(/to plan the job has cost the whole budget\n +overshot by \$\d/);
    expect(hold?.wholeUsd).toBeGreaterThan(hold?.sufficientUsd ?? 0);
    await sluice('budget', 'job', '1000usd', '--pipeline', file).result;
    await backfill.expectWhole(running);
  });

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
