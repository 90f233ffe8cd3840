import { writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { openPipeline, type Pipeline } from '#adapters/pipeline.ts';
import { readPrices } from '#adapters/price-files.ts';
import { jobCost } from '#core/cost/job-cost.ts';
import { SluiceError } from '#core/error.ts';
import { Summary } from '#core/summary.ts';
import { completionOf, RESULTS_PREFIX } from '#functions/finalizing/complete-job.ts';
import { meteredJob } from '#functions/finalizing/job-usage.ts';
import { besidePage } from '#report/page.ts';
import { renderCostReport } from '#report/render-cost.ts';
import { EXIT } from '../exit-codes.ts';
import { summaryTable } from '../summary-table.ts';
import { assumptionsFrom } from './cost-assumptions.ts';

/** What `sluice cost` says of a job, with its own defaults, as a page. */
async function costPage(job: string, pipeline: Pipeline): Promise<string> {
  const assumptions = await assumptionsFrom({}, pipeline);
  const prices = await readPrices(assumptions.region);
  const cost = jobCost([await meteredJob(job, pipeline.works)], assumptions, prices);
  return renderCostReport(cost, { title: `Cost of ${job}`, prices });
}

async function write(file: string, text: string): Promise<void> {
  await writeFile(file, text).catch((cause: unknown) => {
    throw new SluiceError('config-invalid', `cannot write "${file}": ${String(cause)}`, { cause });
  });
}

/** `sluice report`: a complete job's summary, and its report and cost as files here. @returns the exit code. */
export async function report(
  job: string,
  flags: { pipeline?: string; out?: string; json?: boolean },
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const pipeline = await openPipeline(flags.pipeline, env);
  const { works, config } = pipeline;
  await completionOf(job, works);
  const { body } = await works.get(`${RESULTS_PREFIX}jobs/${job}/summary.json`);
  const summary = Summary.parse(JSON.parse(body.toString('utf8')));
  const outputs: Record<string, string> = Object.fromEntries(
    Object.entries(summary.outputs).map(([name, key]) => [name, `${config.work.replace(/\/?$/, '/')}${key}`]),
  );
  if (flags.out !== undefined) {
    const page = await works.get(summary.outputs['report'] ?? '');
    outputs['report'] = flags.out;
    outputs['cost'] = join(dirname(flags.out), `${basename(flags.out, '.html')}-cost.html`);
    const link = (name: string, text: string) => ({ href: encodeURI(`./${basename(name)}`), text });
    const toCost = link(outputs['cost'], 'What this job has cost');
    const toReport = link(flags.out, 'What this job has found');
    await write(flags.out, besidePage(page.body.toString('utf8'), toCost));
    await write(outputs['cost'], besidePage(await costPage(job, pipeline), toReport));
  }
  if (flags.json === true) process.stdout.write(`${JSON.stringify(summary)}\n`);
  else process.stdout.write(summaryTable(summary, outputs));
  return EXIT.ok;
}
