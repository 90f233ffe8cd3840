import { existsSync, statSync } from 'node:fs';
import { openPipeline, PIPELINE_FILE, PIPELINE_VARIABLE } from '#adapters/pipeline.ts';
import { readPrices } from '#adapters/price-files.ts';
import { jobCost } from '#core/cost/job-cost.ts';
import { heldJob } from '#core/quote/held-job.ts';
import type { Quote } from '#core/quote/quote.ts';
import { completionOf } from '#functions/finalizing/complete-job.ts';
import { meteredJob } from '#functions/finalizing/job-usage.ts';
import { assumptionsFrom, isOnAws } from '../cloud/cost-assumptions.ts';
import { comparison, comparisonTable, readActual } from './compare.ts';
import { heldLines } from './held-lines.ts';

/** Holds a quote against what was really taken: for a program, and for a person. */
export type Against = (quote: Quote) => Promise<{ value: unknown; text: () => string }>;

/**
 * What `--against` names: the folder of a run, or a job of a pipeline. A folder that is there is meant, unless a
 * pipeline is given by flag.
 *
 * @throws SluiceError for a run that did not finish, and a job that is not complete.
 */
export async function openActual(
  name: string,
  flags: { readonly pipeline?: string; readonly prices?: string },
  env: Readonly<Record<string, string | undefined>>,
): Promise<Against> {
  const isFolder = statSync(name, { throwIfNoEntry: false })?.isDirectory() === true;
  const hasPipeline = env[PIPELINE_VARIABLE] !== undefined || existsSync(PIPELINE_FILE);
  const isJob = flags.pipeline !== undefined || (!isFolder && hasPipeline);
  if (!isJob) {
    const actual = await readActual(name);
    return async (quote) => {
      const compared = comparison(quote, actual);
      return { value: compared, text: () => comparisonTable(quote, compared) };
    };
  }
  const pipeline = await openPipeline(flags.pipeline, env);
  const completion = await completionOf(name, pipeline.works);
  const metered = await meteredJob(name, pipeline.works);
  return async (quote) => {
    const assumptions = await assumptionsFrom({}, pipeline, quote);
    const prices = await readPrices(assumptions.region, flags.prices);
    const cost = jobCost([metered], assumptions, prices);
    const held = heldJob(quote, completion, metered, cost, !isOnAws(pipeline));
    return { value: held, text: () => heldLines(held) };
  };
}
