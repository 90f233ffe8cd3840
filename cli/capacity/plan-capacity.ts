import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readPrices } from '#adapters/price-files.ts';
import type { BillTerms } from '#core/cost/bill.ts';
import { instanceHourUsd, staleness } from '#core/cost/prices.ts';
import { fleetFor } from '#core/simulation/fleet-for.ts';
import { GivenMeasurements, measurementsFrom } from '#core/simulation/measurements.ts';
import { capacityPlots } from '#report/capacity-plots.ts';
import { validated } from '../cloud/validated.ts';
import { EXIT } from '../exit-codes.ts';
import { type CapacityFlags, capacityRequest, readJsonFile } from './capacity-flags.ts';
import { capacityPlan } from './capacity-plan.ts';
import { capacityTable } from './capacity-table.ts';

/** What the deployment in infra/ has: two alarms for each of six queues; a worker's root volume. */
const ALARMS = 12;
const METRICS = 10;
const VOLUME_GB = 50;
/** Whose service times the defaults are. */
const MEASURED_INSTANCE = 'g4dn.xlarge';

/** `sluice plan-capacity`: simulates a fleet and prices it. @returns the exit code. */
export async function planCapacity(flags: CapacityFlags, now: Date): Promise<number> {
  const { scenario, wishes } = await capacityRequest(flags);
  const given =
    flags.measurements === undefined
      ? {}
      : validated(GivenMeasurements, await readJsonFile(flags.measurements), flags.measurements);
  const measurements = measurementsFrom(given);
  const prices = await readPrices(flags.region, flags.prices);
  const { spotHourUsd, ...fleet } = wishes;
  const terms: BillTerms = {
    instanceType: flags.instance,
    market: flags.market,
    spotHourUsd,
    architecture: flags.architecture,
    volumeGb: VOLUME_GB,
    publicIpv4: true,
    alarms: ALARMS,
    metrics: METRICS,
  };
  // An unknown type is told before anything is simulated.
  if (spotHourUsd === undefined || flags.market !== 'spot')
    instanceHourUsd(prices, flags.instance, flags.market);
  const old = staleness(prices, now);
  if (old !== undefined) process.stderr.write(`sluice: ${old}\n`);
  if (flags.instance !== MEASURED_INSTANCE && given.workerImageMs === undefined) {
    process.stderr.write(
      `sluice: service times are those of ${MEASURED_INSTANCE}; give those of ${flags.instance} with --measurements (workerImageMs, workerMbPerSecond)\n`,
    );
  }

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
