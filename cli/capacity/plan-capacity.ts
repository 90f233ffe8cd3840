import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readPrices } from '#adapters/price-files.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { fleetFor } from '#core/simulation/fleet-for.ts';
import { measurementsFrom } from '#core/simulation/measurements.ts';
import { capacityPlots } from '#report/capacity-plots.ts';
import { EXIT } from '../exit-codes.ts';
import { billTerms, doubts } from './bill-terms.ts';
import { type CapacityFlags, capacityRequest, givenMeasurements } from './capacity-flags.ts';
import { type CapacityPlan, capacityPlan, usdOf } from './capacity-plan.ts';
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

  const found = fleetFor(scenario, fleet, measurements, usdOf(terms, prices));
  const plan = capacityPlan(found, wishes.deadlineS, { terms, prices, measurements });
  if (flags.out !== undefined) {
    await writePlots(flags.out, plan);
  }
  process.stdout.write(flags.json === true ? `${JSON.stringify(plan)}\n` : capacityTable(plan));
  return plan.inTime === false ? EXIT.late : EXIT.ok;
}

async function writePlots(folder: string, { samples }: CapacityPlan): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    for (const [name, { markup }] of Object.entries(capacityPlots(samples)))
      await writeFile(join(folder, name), markup);
  } catch (cause) {
    throw new SluiceError(
      'config-invalid',
      `expected --out to be a folder that can be written to, "${folder}" is none: ${messageOf(cause)}`,
      { cause },
    );
  }
}
