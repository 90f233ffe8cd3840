import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { jobCost } from '#core/cost/job-cost.ts';
import { dispatchKey } from '#core/job-layout.ts';
import { meteredJob } from '#functions/finalizing/job-usage.ts';
import { partKeys } from '#functions/finalizing/part-keys.ts';
import { readJson } from '#functions/json-object.ts';
import { changeBudget } from '#functions/planning/change-budget.ts';
import { Dispatch } from '#functions/planning/dispatch-shards.ts';
import { dollarAnObject } from '#test/support/dollar-an-object.ts';
import { forgetEarlierUsage } from '#test/support/earlier-usage.ts';
import { RunningPipeline } from '#test/support/running-pipeline.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { expectedRows, tinyImages, writeTinyCascade } from '#test/support/tiny-cascade.ts';

const IMAGES = 24;
const SHARDS = 6;

it('a cascade with a budget is held by what all its stages cost, and goes on with another one', async () => {
  await using folder = await temporaryFolder();
  const { stages } = await writeTinyCascade(folder.path);
  const size = IMAGES / SHARDS;
  const config = { cascade: { stages }, shardSize: size, packSize: size };
  await using running = await RunningPipeline.start({ config });
  const { works } = running.pipeline;
  for (const [key, bytes] of await tinyImages(IMAGES))
    running.aws.objects.putObject(running.images, key, bytes);
  forgetEarlierUsage();
  running.startFunctions({ budgetEveryMs: 1000 });
  await running.startWorkerHere();
  const feeding = async () => (await readJson(works, dispatchKey('job'), Dispatch))?.feeding;
  // A shard comes to eight objects: a pack and a part at each stage, and what two of them hand on. Its first stage has three.
  const budget = await dollarAnObject(45);
  await running.submit('job', { budget });
  while ((await feeding())?.isHeld !== true) await sleep(100);

  const held = await feeding();
  const spent = jobCost([await meteredJob('job', works)], budget.assumptions, budget.prices);
  const first = await partKeys('job', 'halves', works);
  const last = await partKeys('job', 'sure', works);
  expect(last.size).toBe(first.size);
  expect(first.size).toBeLessThan(SHARDS);
  expect(held?.committedUsd).toBe(0);
  // Nothing is under way at any stage, and all that was spent is known, but for what the last look itself took.
  expect(spent.usd - (held?.meteredUsd ?? 0)).toBeLessThan(5);
  expect(spent.usd).toBeGreaterThanOrEqual(8 * first.size);

  await changeBudget('job', 1000, { works, jobs: await running.pipeline.queue('jobs') });
  const { completion } = await running.reached('job', 'complete', 60_000);
  const { boxes, sure } = expectedRows(IMAGES);
  expect(completion.stages).toMatchObject([
    { stage: 'halves', planned: IMAGES, audited: IMAGES - 1 },
    { stage: 'colours', planned: boxes.length, audited: boxes.length },
    { stage: 'sure', planned: sure.length, audited: sure.length },
  ]);
});
