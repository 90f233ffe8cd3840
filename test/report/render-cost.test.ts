import { describe, expect, it } from 'vitest';
import { held as heldTo } from '#core/quote/held.ts';
import type { HeldJob } from '#core/quote/held-job.ts';
import { formatUsd } from '#report/money.ts';
import { renderCostReport } from '#report/render-cost.ts';
import { costOf, meteredJob, prices } from '#test/support/metered-jobs.ts';
import { itMeetsPageStandards } from '#test/support/page-standards.ts';
import { around } from '#test/support/quotes.ts';

function heldOf(name: string): HeldJob {
  return {
    job: name,
    source: name,
    quotedAt: '2026-11-20T10:00:00.000Z',
    quotedImages: 1000,
    planned: 1000,
    images: 1000,
    figures: [{ figure: 'usd', ...heldTo(around(0.1), 1, 0.05) }],
    remarks: [name],
  };
}

describe('the cost report', () => {
  itMeetsPageStandards((name) =>
    renderCostReport(costOf(meteredJob(name)), { title: name, prices, held: heldOf(name) }),
  );

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
      'left out: functions that were ended',
      'Sent',
      'SQS, polled by Lambda',
      'Idle pipeline',
      'https://aws.amazon.com',
    ])
      expect(text).toContain(part);
  });

  it('holds the job against its quote, where it had one', () => {
    const cost = costOf(meteredJob('job'));
    const page = renderCostReport(cost, { title: 'Cost', prices, held: heldOf('photos') });
    expect(page).toContain('100.0 % too high, outside the interval');
    expect(page).toContain('quoted on 20 Nov 2026, 1,000 images of photos');
    expect(page).toContain('href="#quote"');
    expect(renderCostReport(cost, { title: 'Cost', prices })).not.toContain('#quote');
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
