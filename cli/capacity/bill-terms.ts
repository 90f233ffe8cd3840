import type { BillTerms } from '#core/cost/bill.ts';
import { instanceHourUsd, type Prices, staleness } from '#core/cost/prices.ts';
import type { GivenMeasurements } from '#core/simulation/measurements.ts';
import type { CapacityFlags } from './capacity-flags.ts';

/** What the deployment in infra/ has: two alarms for each of six queues; a worker's root volume. */
const ALARMS = 12;
const METRICS = 10;
const VOLUME_GB = 60;
/** Whose service times the defaults are. */
const MEASURED_INSTANCE = 'g4dn.xlarge';

export function billTerms(
  flags: Pick<CapacityFlags, 'instance' | 'market' | 'architecture'>,
  spotHourUsd: number | undefined,
): BillTerms {
  return {
    instanceType: flags.instance,
    market: flags.market,
    spotHourUsd,
    architecture: flags.architecture,
    volumeGb: VOLUME_GB,
    publicIpv4: true,
    alarms: ALARMS,
    metrics: METRICS,
  };
}

/**
 * What a person should know before they trust a bill under these terms.
 *
 * @throws SluiceError `config-invalid` for an instance type without a price: it is told before anything is reckoned.
 */
export function doubts(terms: BillTerms, prices: Prices, given: GivenMeasurements, now: Date): string[] {
  const { instanceType, market, spotHourUsd } = terms;
  if (spotHourUsd === undefined || market !== 'spot') instanceHourUsd(prices, instanceType, market);
  const old = staleness(prices, now);
  const isOther = instanceType !== MEASURED_INSTANCE && given.workerImageMs === undefined;
  return [
    ...(old === undefined ? [] : [old]),
    ...(isOther
      ? [
          `service times are those of ${MEASURED_INSTANCE}; give those of ${instanceType} with --measurements (workerImageMs, workerMbPerSecond)`,
        ]
      : []),
  ];
}
