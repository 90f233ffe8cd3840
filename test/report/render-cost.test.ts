import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parseAssumptions } from '#core/cost/assumptions.ts';
import { type JobCost, jobCost } from '#core/cost/job-cost.ts';
import { parsePrices } from '#core/cost/prices.ts';
import { noUsage } from '#core/usage.ts';
import { formatUsd } from '#report/money.ts';
import { renderCostReport } from '#report/render-cost.ts';

const file = 'infra/prices/us-east-1.json';
const prices = parsePrices(JSON.parse(await readFile(file, 'utf8')), { region: 'us-east-1', file });
const assumptions = parseAssumptions({}, 'the test');

function costOf(name: string, images = 1000): JobCost {
  const usage = {
    ...noUsage(),
    requests: { 's3:GetObject': { count: 1000, retries: 3, units: 999 } },
    ms: { function: 50_000, cpu: 20_000 },
    counts: { packs: 16, images },
  };
  const worked = { ...noUsage(), ms: { run: 9000, message: 1000 }, counts: { images, slots: 2 * images } };
  const stages = [
    { stage: 'preprocess' as const, waste: false, usage },
    { stage: 'worker' as const, waste: false, usage: worked },
  ];
  const job = {
    job: name,
    isComplete: true,
    images,
    usage: { stages, parts: 16, silentParts: 0 },
    notes: [name],
  };
  return jobCost([job], { ...assumptions, instanceType: 'g4dn.xlarge' }, prices);
}

/** Every tag of a page with the names of its attributes: what a hostile name could add to. */
function structure(page: string): string[] {
  return [...page.matchAll(/<\/?[a-zA-Z!][^>]*>/g)].map(([tag]) => tag.replace(/="[^"]*"/g, '=""'));
}

describe('the cost report', () => {
  it.each([
    ['a script', '<script>alert(1)</script>'],
    ['an end of an attribute', '" onerror="alert(1)" x="'],
    ['an end of the style', '</style><img src=x onerror=alert(1)>'],
    ['a bidirectional override', 'job\u202egpj'],
  ])('has the same elements and attributes when a name holds %s', (_, name) => {
    const page = (title: string) => renderCostReport(costOf(title), { title, prices });
    expect(structure(page(name))).toEqual(structure(page('honest')));
  });

  it('needs nothing but itself: no script, no address of any server', () => {
    const page = renderCostReport(costOf('javascript:alert(1)'), { title: 'Cost', prices });
    expect(page).not.toMatch(/<script|<link[^>]+stylesheet|@import|url\((?!["']?data:)/i);
    expect(page).not.toMatch(/(src|href)="(?!data:|#)/);
    expect(page).toMatch(/Content-Security-Policy" content="default-src (&#39;|')none/);
  });

  it('has a target for each link of its navigation, and each id once', () => {
    const page = renderCostReport(costOf('job'), { title: 'Cost', prices });
    const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const [, target] of page.matchAll(/href="#([^"]+)"/g)) expect(ids).toContain(target);
  });

  it('shows the total, the waste by name, the others and the assumptions', () => {
    const cost = costOf('job');
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
    const page = renderCostReport(jobCost([job], assumptions, prices), { title: 'Cost', prices });
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
