import { writeFile } from 'node:fs/promises';
import { openPipeline, type Pipeline } from '#adapters/pipeline.ts';
import { readPrices } from '#adapters/price-files.ts';
import { type CostHistory, costHistory } from '#core/cost/cost-history.ts';
import { type JobCost, jobCost, type MeteredJob } from '#core/cost/job-cost.ts';
import { type Prices, staleness } from '#core/cost/prices.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { requestKey } from '#core/job-layout.ts';
import { JobRequest } from '#core/job-request.ts';
import { heldJob } from '#core/quote/held-job.ts';
import type { Quote } from '#core/quote/quote.ts';
import { completionOf } from '#functions/finalizing/complete-job.ts';
import { meteredJob, meteredJobsSince } from '#functions/finalizing/job-usage.ts';
import { readJson } from '#functions/json-object.ts';
import { renderCostReport } from '#report/render-cost.ts';
import { renderCostHistory } from '#report/render-cost-history.ts';
import { EXIT } from '../exit-codes.ts';
import { readQuote } from '../quote/compare.ts';
import { budgetLines } from './budget-lines.ts';
import { type AssumptionFlags, assumptionsFrom, isOnAws } from './cost-assumptions.ts';
import { costCsv, costLines, historyCsv, monthLines } from './cost-lines.ts';
import { budgetOf } from './pipeline-status.ts';

export interface CostFlags extends AssumptionFlags {
  pipeline?: string;
  since?: string;
  prices?: string;
  json?: boolean;
  csv?: string;
  html?: string;
  quote?: string;
}

/** `sluice cost`: what a job has cost, or all of a time. @returns the exit code. */
export async function cost(
  job: string | undefined,
  flags: CostFlags,
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  if ((job === undefined) === (flags.since === undefined)) {
    throw new SluiceError('config-invalid', 'expected the name of a job, or --since <date>, and not both');
  }
  const pipeline = await openPipeline(flags.pipeline, env);
  const quote = flags.quote === undefined ? undefined : await quoteFrom(flags.quote, flags.since);
  const assumptions = await assumptionsFrom(flags, pipeline, quote);
  const prices = await readPrices(assumptions.region, flags.prices);
  const reckon = (jobs: readonly MeteredJob[]): JobCost =>
    withDoubts(jobCost(jobs, assumptions, prices), prices);

  if (job !== undefined) {
    const { name: stage } = await pipeline.manifest();
    const metered = await meteredJob(job, pipeline.works, stage);
    const reckoned = reckon([metered]);
    const budget = await budgetNotes(job, pipeline);
    const report = { ...reckoned, notes: [...budget, ...reckoned.notes] };
    const held =
      quote && heldJob(quote, await completionOf(job, pipeline.works), metered, report, !isOnAws(pipeline));
    await writeFiles(flags, {
      csv: () => costCsv(report),
      html: () => renderCostReport(report, { title: `Cost of ${job}`, prices, ...(held && { held }) }),
    });
    if (flags.json === true) process.stdout.write(`${JSON.stringify({ ...report, quote: held })}\n`);
    else process.stdout.write(costLines(report, prices, held));
    return EXIT.ok;
  }
  const since = dateFrom(flags.since ?? '');
  const { jobs, notes } = await meteredJobsSince(since, pipeline.works);
  const history = withNotes(costHistory(jobs, reckon), notes);
  await writeFiles(flags, {
    csv: () => historyCsv(history),
    html: () => renderCostHistory(history, { title: `Cost since ${flags.since}`, prices }),
  });
  if (flags.json === true) process.stdout.write(`${JSON.stringify(history)}\n`);
  else process.stdout.write(monthLines(history) + costLines(history.all, prices));
  return EXIT.ok;
}

/** What a job may cost, and where it stands within that. A complete job only says what it was allowed. */
async function budgetNotes(job: string, pipeline: Pipeline): Promise<string[]> {
  const request = await readJson(pipeline.works, requestKey(job), JobRequest);
  if (request?.budget === undefined) return [];
  const { budget } = await budgetOf(job, request.budget.usd, pipeline);
  return budget === undefined ? [] : budgetLines(job, budget).map((line) => `budget: ${line}`);
}

async function quoteFrom(file: string, since: string | undefined): Promise<Quote> {
  if (since !== undefined) {
    throw new SluiceError(
      'config-invalid',
      '--quote is held against one job: name it, and leave out --since',
    );
  }
  const quote = await readQuote(file);
  if (quote !== undefined) return quote;
  throw new SluiceError(
    'config-invalid',
    `--quote expects the file that "sluice quote --out" wrote, such as quote.json, got "${file}"`,
  );
}

function withDoubts(report: JobCost, prices: Prices): JobCost {
  const stale = staleness(prices, new Date());
  return stale === undefined ? report : { ...report, notes: [...report.notes, stale] };
}

function withNotes({ months, all }: CostHistory, notes: readonly string[]): CostHistory {
  return { months, all: { ...all, notes: [...notes, ...all.notes] } };
}

function dateFrom(text: string): Date {
  const date = new Date(text);
  if (!Number.isNaN(date.getTime())) return date;
  throw new SluiceError('config-invalid', `--since expects a date such as 2026-11-01, got "${text}"`);
}

async function writeFiles(flags: CostFlags, texts: Record<'csv' | 'html', () => string>): Promise<void> {
  for (const kind of ['csv', 'html'] as const) {
    const file = flags[kind];
    if (file === undefined) continue;
    await writeFile(file, texts[kind]()).catch((cause: unknown) => {
      throw new SluiceError('config-invalid', `cannot write "${file}": ${messageOf(cause)}`, { cause });
    });
  }
}
