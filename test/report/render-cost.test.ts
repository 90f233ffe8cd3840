import { describe, expect, it } from 'vitest';
import { formatUsd } from '#report/money.ts';
import { renderCostReport } from '#report/render-cost.ts';
import { costOf, meteredJob, prices } from '#test/support/metered-jobs.ts';
import { itMeetsPageStandards } from '#test/support/page-standards.ts';

describe('the cost report', () => {
  itMeetsPageStandards((name) => renderCostReport(costOf(meteredJob(name)), { title: name, prices }));

  it('shows the total, the waste by name, the others and the assumptions', () => {
    const cost = costOf(meteredJob('job'));
    const text = renderCostReport(cost, { title: 'Cost of job', prices }).replace(/<[^>]*>/g, ' ');
    for (const part of [
      formatUsd(cost.usd),
      formatUsd(cost.usdPerMillion ?? 0),
      'Idle GPU',
      'Unfilled batches',
      'Batches were 50% full',
      'Rekognition image moderation',
      'SageMaker Batch Transform',
      'that decodes for itself',
      'sageMakerRequestMs',
      'left out: S3 storage',
    ])
      expect(text).toContain(part);
  });

  it('renders a job that has consumed nothing', () => {
    const nothing = { stages: [], parts: 0, silentParts: 0 };
    const job = { job: 'job', isComplete: false, images: 0, usage: nothing, notes: [] };
    const page = renderCostReport(costOf(job), { title: 'Cost', prices });
    expect(page).toMatch(/<\/html>\s*$/);
    expect(page).not.toMatch(/NaN|Infinity|undefined/);
  });
});

describe('dollars', () => {
  it.each([
    [1234.5, '$1,234.50'],
    [0.1, '$0.10'],
    [0.0123, '$0.012'],
    [0.000004, '$0.000004'],
    [0, '$0.00'],
  ])('%d is written %s', (usd, text) => expect(formatUsd(usd)).toBe(text));
});
