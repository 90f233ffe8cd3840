import { readFileSync } from 'node:fs';
import { Budget } from '#core/budget.ts';
import { CostAssumptions } from '#core/cost/assumptions.ts';
import { parsePrices } from '#core/cost/prices.ts';

export interface FleetTerms {
  /** The kind of instance that most workers will be. */
  readonly instanceType?: string;
  /** Whether each worker has a public address. */
  readonly publicIpv4: boolean;
}

/**
 * What each job of a schedule may cost, with the prices of its region: whoever feeds the job has no price file.
 *
 * @throws Error where there are no prices of the region.
 */
export function backfillBudget(usd: number, region: string, fleet: FleetTerms): Budget {
  const file = new URL(`prices/${region}.json`, import.meta.url);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Error(
      `budgetUsd expects prices of ${region} in infra/prices, found none: fetch them with "sluice prices refresh --region ${region}"`,
      { cause },
    );
  }
  const prices = parsePrices(JSON.parse(text), { region, file: file.pathname });
  return Budget.parse({ usd, assumptions: CostAssumptions.parse({ region, ...fleet }), prices });
}
