import { writeFile } from 'node:fs/promises';
import { openPipeline } from '#adapters/pipeline.ts';
import { readPrices } from '#adapters/price-files.ts';
import { type JobCost, jobCost, type MeteredJob } from '#core/cost/job-cost.ts';
import { type Prices, staleness } from '#core/cost/prices.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { meteredJob, meteredJobsSince } from '#functions/finalizing/job-usage.ts';
import { renderCostReport } from '#report/render-cost.ts';
import { EXIT } from '../exit-codes.ts';
import { type AssumptionFlags, assumptionsFrom } from './cost-assumptions.ts';
import { costCsv, costLines, monthLines } from './cost-lines.ts';

export interface CostFlags extends AssumptionFlags {
  pipeline?: string;
  since?: string;
  prices?: string;
  json?: boolean;
  csv?: string;
  html?: string;
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
  const assumptions = await assumptionsFrom(flags, pipeline);
  const prices = await readPrices(assumptions.region, flags.prices);
  const reckon = (jobs: readonly MeteredJob[]): JobCost =>
    withDoubts(jobCost(jobs, assumptions, prices), prices);

  if (job !== undefined) {
    const { name: stage } = await pipeline.manifest();
    const report = reckon([await meteredJob(job, pipeline.works, stage)]);
    await writeFiles(report, `Cost of ${job}`, flags, prices);
    process.stdout.write(flags.json === true ? `${JSON.stringify(report)}\n` : costLines(report, prices));
    return EXIT.ok;
  }
  const since = dateFrom(flags.since ?? '');
  const jobs = await meteredJobsSince(since, pipeline.works);
  const months = [...new Set(jobs.map(({ completedAt }) => completedAt.slice(0, 7)))].map((month) => {
    const own = jobs.filter(({ completedAt }) => completedAt.startsWith(month));
    return {
      month,
      total: reckon(own.map(({ job }) => job)),
      jobs: own.map(({ job }) => reckon([job])),
    };
  });
  const all = reckon(jobs.map(({ job }) => job));
  await writeFiles(all, `Cost since ${flags.since}`, flags, prices);
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ months, all })}\n`);
  else process.stdout.write(monthLines(months) + costLines(all, prices));
  return EXIT.ok;
}

function withDoubts(report: JobCost, prices: Prices): JobCost {
  const stale = staleness(prices, new Date());
  return stale === undefined ? report : { ...report, notes: [...report.notes, stale] };
}

function dateFrom(text: string): Date {
  const date = new Date(text);
  if (!Number.isNaN(date.getTime())) return date;
  throw new SluiceError('config-invalid', `--since expects a date such as 2026-11-01, got "${text}"`);
}

async function writeFiles(report: JobCost, title: string, flags: CostFlags, prices: Prices): Promise<void> {
  const write = async (file: string | undefined, text: () => string): Promise<void> => {
    if (file === undefined) return;
    await writeFile(file, text()).catch((cause: unknown) => {
      throw new SluiceError('config-invalid', `cannot write "${file}": ${messageOf(cause)}`, { cause });
    });
  };
  await write(flags.csv, () => costCsv(report));
  await write(flags.html, () => renderCostReport(report, { title, prices }));
}
