import { CostAssumptions } from '#core/cost/assumptions.ts';
import type { BillTerms } from '#core/cost/bill.ts';
import { DEPLOYED_TERMS } from '#core/cost/deployed-terms.ts';
import { instanceHour, missingSpotPrice, type Prices, staleness } from '#core/cost/prices.ts';
import type { GivenMeasurements } from '#core/simulation/measurements.ts';
import type { CapacityFlags } from './capacity-flags.ts';

/** What sluice cost assumes too. */
const { memoryMb, volumeGb, publicIpv4 } = CostAssumptions.parse({});
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
    volumeGb,
    publicIpv4,
    deployed: DEPLOYED_TERMS,
    finalizeMemoryMib: memoryMb.finalize,
  };
}

/**
 * What a person should know before they trust a bill under these terms.
 *
 * @throws SluiceError `config-invalid` for an instance type without a price: it is told before anything is reckoned.
 */
export function doubts(terms: BillTerms, prices: Prices, given: GivenMeasurements, now: Date): string[] {
  const { instanceType, market, spotHourUsd } = terms;
  if (spotHourUsd === undefined || market !== 'spot') instanceHour(prices, instanceType, market);
  const missingSpot = missingSpotPrice(prices, instanceType, market, spotHourUsd);
  const old = staleness(prices, now);
  const isOther = instanceType !== MEASURED_INSTANCE && given.workerImageMs === undefined;
  return [
    ...(old === undefined ? [] : [old]),
    ...(missingSpot === undefined ? [] : [missingSpot]),
    ...(isOther
      ? [
          `service times are those of ${MEASURED_INSTANCE}; give those of ${instanceType} with --measurements (workerImageMs, workerMbPerSecond)`,
        ]
      : []),
  ];
}
