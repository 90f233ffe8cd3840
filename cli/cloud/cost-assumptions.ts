import { readFile } from 'node:fs/promises';
import type { Pipeline } from '#adapters/pipeline.ts';
import { type CostAssumptions, parseAssumptions } from '#core/cost/assumptions.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import type { Quote } from '#core/quote/quote.ts';

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
  let given: Record<string, unknown> = {};
  if (flags.assume !== undefined) {
    try {
      given = JSON.parse(await readFile(flags.assume, 'utf8')) as Record<string, unknown>;
    } catch (cause) {
      throw new SluiceError(
        'config-invalid',
        `no assumptions can be read from "${flags.assume}": ${messageOf(cause)}`,
        { cause },
      );
    }
  }
  const [, ofQueue] = /^https:\/\/sqs\.([a-z0-9-]+)\.amazonaws\.com/.exec(config.queues.jobs) ?? [];
  const memory = flags.memory === undefined ? undefined : Number(flags.memory);
  return parseAssumptions(
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
}
