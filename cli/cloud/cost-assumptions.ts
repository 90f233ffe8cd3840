import type { Pipeline } from '#adapters/pipeline.ts';
import { type CostAssumptions, parseAssumptions } from '#core/cost/assumptions.ts';
import { SluiceError } from '#core/error.ts';
import type { Quote } from '#core/quote/quote.ts';
import { readJsonObject } from '../json-file.ts';

/** Flags that say what to reckon with. */
export interface AssumptionFlags {
  assume?: string;
  region?: string;
  instance?: string;
  market?: string;
  spotPrice?: string;
  architecture?: string;
  memory?: string;
}

/** The region of a queue; `undefined` where it is not on AWS. */
function regionOf(queueUrl: string): string | undefined {
  return /^https:\/\/sqs\.([a-z0-9-]+)\.amazonaws\.com/.exec(queueUrl)?.[1];
}

export function isOnAws({ config }: Pick<Pipeline, 'config'>): boolean {
  return regionOf(config.queues.jobs) !== undefined;
}

/**
 * A file of assumptions, and flags over it. The region is that of the pipeline's queues, unless something else says so.
 *
 * @param quote what it was reckoned with is assumed where nothing else is said.
 * @throws SluiceError `config-invalid` that lists every bad value.
 */
export async function assumptionsFrom(
  flags: AssumptionFlags,
  { config }: Pipeline,
  quote?: Quote,
): Promise<CostAssumptions> {
  const given = flags.assume === undefined ? {} : await readJsonObject(flags.assume, 'assumptions');
  const ofQueue = regionOf(config.queues.jobs);
  const memory = flags.memory === undefined ? undefined : Number(flags.memory);
  const assumptions = parseAssumptions(
    {
      ...quote?.fleet.metered?.assumptions,
      ...(ofQueue !== undefined && { region: ofQueue }),
      ...given,
      ...(flags.region !== undefined && { region: flags.region }),
      ...(flags.instance !== undefined && { instanceType: flags.instance }),
      ...(flags.market !== undefined && { market: flags.market }),
      ...(flags.spotPrice !== undefined && { spotHourUsd: Number(flags.spotPrice) }),
      ...(flags.architecture !== undefined && { architecture: flags.architecture }),
      ...(memory !== undefined && {
        memoryMb: { plan: memory, ingest: memory, preprocess: memory, finalize: memory },
      }),
    },
    flags.assume === undefined ? 'the command line' : `"${flags.assume}" and the command line`,
  );
  if (flags.spotPrice !== undefined && assumptions.market !== 'spot')
    throw new SluiceError(
      'config-invalid',
      '--spot-price would be ignored with --market on-demand: leave one of them out',
    );
  return assumptions;
}
