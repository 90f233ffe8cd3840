import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readPrices } from '#adapters/price-files.ts';
import { fleetFor } from '#core/simulation/fleet-for.ts';
import { measurementsFrom } from '#core/simulation/measurements.ts';
import { capacityPlots } from '#report/capacity-plots.ts';
import { EXIT } from '../exit-codes.ts';
import { billTerms, doubts } from './bill-terms.ts';
import { type CapacityFlags, capacityRequest, givenMeasurements } from './capacity-flags.ts';
import { capacityPlan } from './capacity-plan.ts';
import { capacityTable } from './capacity-table.ts';

/** `sluice plan-capacity`: simulates a fleet and prices it. @returns the exit code. */
export async function planCapacity(flags: CapacityFlags, now: Date): Promise<number> {
  const { scenario, wishes } = await capacityRequest(flags);
  const given = await givenMeasurements(flags.measurements);
  const measurements = measurementsFrom(given);
  const prices = await readPrices(flags.region, flags.prices);
  const { spotHourUsd, ...fleet } = wishes;
  const terms = billTerms(flags, spotHourUsd);
  for (const doubt of doubts(terms, prices, given, now)) process.stderr.write(`sluice: ${doubt}\n`);

  const found = fleetFor(scenario, fleet, measurements);
  const plan = capacityPlan(found, wishes.deadlineS, { terms, prices, measurements });
  if (flags.out !== undefined) {
    await mkdir(flags.out, { recursive: true });
    for (const [name, { markup }] of Object.entries(capacityPlots(plan.samples)))
      await writeFile(join(flags.out, name), markup);
  }
  process.stdout.write(flags.json === true ? `${JSON.stringify(plan)}\n` : capacityTable(plan));
  return EXIT.ok;
}
