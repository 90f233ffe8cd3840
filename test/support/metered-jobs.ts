import { readFile } from 'node:fs/promises';
import { parseAssumptions } from '#core/cost/assumptions.ts';
import { type JobCost, jobCost, type MeteredJob } from '#core/cost/job-cost.ts';
import { parsePrices } from '#core/cost/prices.ts';
import { noUsage } from '#core/usage.ts';

const file = 'infra/prices/us-east-1.json';
export const prices = parsePrices(JSON.parse(await readFile(file, 'utf8')), { region: 'us-east-1', file });
export const assumptions = parseAssumptions({}, 'the test');

/** A complete job that preprocessed its images and ran the model in batches that were half full. */
export function meteredJob(job: string, images = 1000): MeteredJob {
  const usage = {
    ...noUsage(),
    requests: { 's3:GetObject': { count: images, retries: 3, units: images - 1 } },
    ms: { function: 50 * images, cpu: 20 * images },
    counts: { packs: 16, images, invocations: 2 },
  };
  const worked = {
    ...noUsage(),
    ms: { run: 9 * images, message: images },
    counts: { images, slots: 2 * images },
  };
  const stages = [
    { stage: 'preprocess' as const, waste: false, usage },
    { stage: 'worker' as const, waste: false, usage: worked },
  ];
  return { job, isComplete: true, images, usage: { stages, parts: 16, silentParts: 0 }, notes: [job] };
}

export function costOf(...jobs: readonly MeteredJob[]): JobCost {
  return jobCost(jobs, assumptions, prices);
}
