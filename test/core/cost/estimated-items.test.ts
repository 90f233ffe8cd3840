import { describe, expect, it } from 'vitest';
import { parseAssumptions } from '#core/cost/assumptions.ts';
import { type JobCost, jobCost, type MeteredJob } from '#core/cost/job-cost.ts';
import { noUsage, type StageUsage, type Usage } from '#core/usage.ts';
import { assumptions, prices } from '#test/support/metered-jobs.ts';

function stage(name: StageUsage['stage'], usage: Partial<Usage>, more: Partial<StageUsage> = {}): StageUsage {
  return { stage: name, waste: false, usage: { ...noUsage(), ...usage }, ...more };
}

function job(name: string, ...stages: StageUsage[]): MeteredJob {
  const usage = { stages, parts: 1, silentParts: 0 };
  return { job: name, isComplete: true, images: 1000, usage, seconds: 3600, notes: [] };
}

function estimate(cost: JobCost, resource: string) {
  return cost.estimated.find((item) => item.resource === resource);
}

describe('what is estimated', () => {
  it('is apart from what is metered, each line with what it was reckoned from', () => {
    const cost = jobCost(
      [
        job(
          'a',
          stage('preprocess', { counts: { invocations: 50 }, bytesOut: 2 ** 30 }),
          stage('worker', { counts: { starts: 2 }, ms: { run: 3_600_000 } }),
        ),
      ],
      assumptions,
      prices,
    );
    expect(estimate(cost, 'SQS, polled by Lambda')).toMatchObject({
      quantity: 100,
      usd: expect.closeTo(0.00004, 12),
    });
    expect(estimate(cost, "SQS, Lambda's empty polls")).toMatchObject({ quantity: 2700 });
    expect(estimate(cost, 'S3 storage of packs')?.usd).toBeCloseTo(0.023 / 730, 9);
    expect(estimate(cost, 'GPU instances booting')?.quantity).toBeCloseTo(600 / 3600, 9);
    expect(estimate(cost, 'GPU idle tail')?.quantity).toBeCloseTo(960 / 3600, 9);
    expect(cost.items.map(({ resource }) => resource)).not.toContain('GPU idle tail');
    expect(cost.estimatedUsd).toBeCloseTo(
      cost.estimated.reduce((sum, { usd }) => sum + usd, 0),
      12,
    );
    for (const { how } of cost.estimated) expect(how).not.toBe('');
  });

  it('follows the assumptions', () => {
    const estimates = {
      alarmMetrics: 0,
      workerMetrics: 0,
      dashboards: 0,
      emptyPollsPerHour: 0,
      interfaceEndpoints: 8,
    };
    const assumed = parseAssumptions({ estimates }, 'the test');
    const cost = jobCost([job('a')], assumed, prices);
    expect(cost.estimated.map(({ resource }) => resource)).toEqual(['interface endpoints']);
    expect(cost.estimatedUsd).toBeCloseTo(8 * prices.network.interfaceEndpoint.usd, 9);
  });

  it('takes packs that came again, and whose first time nobody has told, for lost to Spot', () => {
    const worker = { counts: { messages: 8, redelivered: 2 }, ms: { run: 7_200_000 } };
    const again = stage('worker', { counts: { messages: 1 }, ms: { run: 900_000 } }, { waste: true });
    const lost = (...stages: StageUsage[]) =>
      estimate(jobCost([job('a', ...stages)], assumptions, prices), 'GPU work lost to Spot')?.quantity;
    expect(lost(stage('worker', worker))).toBeCloseTo((2 * 2) / 8, 9);
    expect(lost(stage('worker', worker), again)).toBeCloseTo(2.25 / 9, 9);
    expect(lost(stage('worker', { ...worker, counts: { messages: 8 } }))).toBeUndefined();
  });
});

describe('what is beside a job', () => {
  const idle = stage('worker', { ms: { message: 3_600_000 } }, { idle: true });
  const late = stage('worker', { ms: { commit: 1_800_000 } }, { job: 'a' });
  const own = stage('worker', { ms: { run: 3_600_000 } });
  const hours = ({ items }: Pick<JobCost, 'items'>) =>
    items
      .filter(({ resource }) => resource === 'GPU workers')
      .reduce((sum, { quantity }) => sum + quantity, 0);

  it('is in none of its figures, and has a line of its own', () => {
    const cost = jobCost([job('b', own, idle, late)], assumptions, prices);
    expect(hours(cost)).toBe(1);
    expect(cost.besides).toMatchObject([
      { name: 'idle pipeline', seconds: 3600 },
      { name: 'other jobs', seconds: 1800 },
      { name: 'not told yet', seconds: 0, usd: 0 },
    ]);
    for (const { items } of cost.besides.slice(0, 2)) expect(items[0]?.usd).toBeGreaterThan(0);
  });

  it('is put with the other job, where that is reckoned too', () => {
    const cost = jobCost([job('a', own), job('b', own, idle, late)], assumptions, prices);
    expect(hours(cost)).toBe(2.5);
    expect(cost.besides.map(({ seconds }) => seconds)).toEqual([3600, 0, 0]);
  });
});
