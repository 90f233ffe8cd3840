import { assumptionLines } from '#core/cost/assumptions.ts';
import { type CostHistory, usefulUsd } from '#core/cost/cost-history.ts';
import type { JobCost } from '#core/cost/job-cost.ts';
import { type Prices, pricesAsOf } from '#core/cost/prices.ts';
import type { HeldJob } from '#core/quote/held-job.ts';
import { METERED_STAGES } from '#core/usage.ts';
import { formatSeconds, formatShare } from '#report/format.ts';
import { heldTexts, heldTitle } from '#report/held-figures.ts';
import { formatUsd } from '#report/money.ts';

/** The cost report for a person at a terminal. */
export function costLines(cost: JobCost, prices: Prices, held?: HeldJob): string {
  const { usd, usdPerMillion, images, jobs } = cost;
  const lines = [
    '',
    `${jobs.length === 1 ? jobs[0] : `${jobs.length} jobs`}${cost.isComplete ? '' : ' (not complete)'}: ` +
      `${formatUsd(usd)} for ${images.toLocaleString('en-US')} images` +
      (usdPerMillion === undefined ? '' : `, ${formatUsd(usdPerMillion)} a million`),
    '',
    `by stage ${' '.repeat(42)}share    a million`,
    ...cost.byStage.map((row) => line(row.stage, row, usd)),
    '',
    'by resource',
    ...cost.byResource.map((row) => line(row.resource, row, usd)),
    '',
    `of it, for nothing: ${formatUsd(cost.usdWasted)} (${formatShare(cost.usdWasted, usd)})`,
    ...cost.waste.map((row) => line(row.waste, row, usd)),
    ...wastedTime(cost),
    ...(cost.batchFill === undefined ? [] : [`  batches were ${(cost.batchFill * 100).toFixed(1)} % full`]),
    '',
    `requests ${' '.repeat(34)}sent      retried       billed`,
    ...requestLines(cost.requests),
    '',
    `estimated, and not in the above: ${formatUsd(cost.estimatedUsd)}`,
    ...cost.estimated.map(
      (row) => `  ${row.resource.padEnd(36)} ${formatUsd(row.usd).padStart(12)}  ${row.how}`,
    ),
    '',
    'metered beside it, and not in the above',
    ...cost.besides.map(
      (row) =>
        `  ${row.name.padEnd(36)} ${formatUsd(row.usd).padStart(12)}  ${formatSeconds(row.seconds)} of workers, ` +
        `${count(sent(row.requests))} requests`,
    ),
    '',
    'elsewhere, the same images',
    ...cost.alternatives.map(
      (other) =>
        `  ${other.name.padEnd(36)} ${other.usd === undefined ? 'unknown'.padStart(12) : formatUsd(other.usd).padStart(12)}` +
        `${other.usdPerMillion === undefined ? '' : `  ${formatUsd(other.usdPerMillion)} a million`}\n      ${other.how}`,
    ),
    ...(held === undefined ? [] : quoteLines(held)),
    '',
    `assumed (--assume file.json, or flags), with the prices of ${prices.region}, as of ${pricesAsOf(prices)}`,
    ...assumptionLines(cost.assumptions).map(({ name, value }) => `  ${name.padEnd(24)} ${value}`),
    '',
    'prices',
    ...cost.unitPrices.map(
      ({ name, usd: price, per, asOf, source }) =>
        `  ${name.padEnd(36)} ${`$${price}`.padStart(14)} a ${per}, ${asOf === undefined ? 'as given' : `${asOf}, ${source}`}`,
    ),
    '',
    ...cost.notes.map((note) => `note: ${note}`),
  ];
  return `${lines.join('\n')}\n`;
}

function quoteLines(held: HeldJob): string[] {
  return [
    '',
    `the quote held against it: ${heldTitle(held)}`,
    ...heldTexts(held).map(
      ({ name, predicted, actual, error }) =>
        `  ${name}\n      quoted ${predicted}, actual ${actual}: ${error}`,
    ),
    ...held.remarks.map((remark) => `  note: ${remark}`),
  ];
}

/** A month a line, and its jobs below it. */
export function monthLines({ months }: CostHistory): string {
  const row = (name: string, { images, usd, usdWasted, usdPerMillion }: JobCost): string =>
    `${name.padEnd(34)} ${images.toLocaleString('en-US').padStart(14)} ${formatUsd(usd).padStart(12)} ` +
    `${formatUsd(usdWasted).padStart(12)} ${(usdPerMillion === undefined ? '' : formatUsd(usdPerMillion)).padStart(12)}`;
  const head = `${'month'.padEnd(34)} ${'images'.padStart(14)} ${'dollars'.padStart(12)} ${'for nothing'.padStart(12)} ${'a million'.padStart(12)}`;
  const lines = months.flatMap(({ month, total, jobs }) => [
    row(month, total),
    ...jobs.map((job) => row(`  ${job.jobs[0]}`, job)),
  ]);
  return `${[head, ...lines].join('\n')}\n`;
}

/** Item by item. */
export function costCsv(cost: JobCost): string {
  return csv(
    ['stage', 'resource', 'waste', 'quantity', 'unit', 'usd_per_million', 'usd'],
    cost.items.map((item) => [
      item.stage,
      item.resource,
      item.waste ?? '',
      item.quantity,
      item.unit,
      item.usdPerMillion ?? '',
      item.usd,
    ]),
  );
}

/** Job by job. The dollars of the stages and those for nothing make up the whole. */
export function historyCsv({ months }: CostHistory): string {
  return csv(
    [
      'job',
      'completed_at',
      'images',
      'usd',
      'usd_per_million',
      ...METERED_STAGES.map((stage) => `${stage}_usd`),
      'for_nothing_usd',
    ],
    months
      .flatMap(({ jobs }) => jobs)
      .map((job) => [
        job.jobs[0] ?? '',
        job.completedAt,
        job.images,
        job.usd,
        job.usdPerMillion ?? '',
        ...usefulUsd(job).map(({ usd }) => usd),
        job.usdWasted,
      ]),
  );
}

function csv(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  return `${[head, ...rows].map((row) => row.map(cell).join(',')).join('\r\n')}\r\n`;
}

function cell(value: string | number): string {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function line(
  name: string,
  { usd, usdPerMillion }: { readonly usd: number; readonly usdPerMillion?: number | undefined },
  whole: number,
): string {
  const rate = usdPerMillion === undefined ? '' : formatUsd(usdPerMillion).padStart(12);
  return `  ${name.padEnd(36)} ${formatUsd(usd).padStart(12)}  ${formatShare(usd, whole).padStart(7)} ${rate}`.trimEnd();
}

function requestLines(requests: JobCost['requests']): string[] {
  return Object.entries(requests)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(
      ([kind, { count: all, retries, units }]) =>
        `  ${kind.padEnd(36)} ${[all, retries, units].map((n) => count(n).padStart(12)).join(' ')}`,
    );
}

function wastedTime({ wastedSeconds: { functions, workers, heldUpByRetries } }: JobCost): string[] {
  return [
    `  repeated work took functions ${formatSeconds(functions)} and workers ${formatSeconds(workers)}; ` +
      `retries held calls up for ${formatSeconds(heldUpByRetries)}, within the time of both`,
  ];
}

function sent(requests: JobCost['requests']): number {
  return Object.values(requests).reduce((sum, request) => sum + request.count, 0);
}

function count(n: number): string {
  return n.toLocaleString('en-US');
}
