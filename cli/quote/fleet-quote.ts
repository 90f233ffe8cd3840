import type { z } from 'zod';
import { type BillTerms, bill, meteredUsd } from '#core/cost/bill.ts';
import type { Prices } from '#core/cost/prices.ts';
import { ASSUMED_RANGE, type Interval, type Quote, scaled } from '#core/quote/quote.ts';
import { fleetFor } from '#core/simulation/fleet-for.ts';
import { S3_GETS_PER_PARTITION } from '#core/simulation/functions.ts';
import {
  type GivenMeasurements,
  type Measurements,
  measurementsFrom,
} from '#core/simulation/measurements.ts';
import type { Scenario } from '#core/simulation/scenario.ts';
import type { CapacityRequest } from '../capacity/capacity-flags.ts';
import { type CapacityPlan, capacityPlan, usdOf } from '../capacity/capacity-plan.ts';

/** What was found out about the source. */
export interface MeasuredSource {
  readonly images: number;
  /** Of an image, on average. */
  readonly imageBytes: number;
  readonly megapixels: number;
  /** Milliseconds of one core for an image, on average. */
  readonly cpuMs: Interval;
  /** Width and height of the model's input, as a square of its area. */
  readonly edgePx: number;
}

/**
 * The fleet for a source, by simulation, with what it takes and costs where images are as dear as estimated, and at
 * either end of the interval. The fleet is the smallest that is in time at the upper end.
 */
export function fleetQuote(
  source: MeasuredSource,
  { scenario: base, wishes }: CapacityRequest,
  parts: { terms: BillTerms; prices: Prices; given: GivenMeasurements },
): Quote['fleet'] {
  const { terms, prices, given } = parts;
  const { spotHourUsd: _, ...fleet } = wishes;
  const scenario: z.input<typeof Scenario> = {
    ...base,
    images: source.images,
    megapixels: source.megapixels,
    imageBytes: Math.max(1, source.imageBytes),
    edgePx: source.edgePx,
  };
  const measurements = (coreMs: number): Measurements =>
    measurementsFrom({
      ...given,
      decode: [
        {
          megapixels: source.megapixels,
          coreMs: Math.max(coreMs, Number.MIN_VALUE),
          bytes: Math.max(1, source.imageBytes),
        },
      ],
    });
  const planned = (coreMs: number, wanted: typeof fleet): CapacityPlan =>
    capacityPlan(fleetFor(scenario, wanted, measurements(coreMs), usdOf(terms, prices)), fleet.deadlineS, {
      terms,
      prices,
      measurements: measurements(coreMs),
    });
  const { cpuMs } = source;
  const slow = planned(cpuMs.high, fleet);
  const same = {
    ...fleet,
    ...slow.settings,
  };
  const [fast, plan] = [planned(cpuMs.low, same), planned(cpuMs.estimate, same)];
  const all = [fast, plan, slow];
  // The sample may be all of the source: what is assumed of the fleet is no surer for it.
  const interval = (pick: (plan: CapacityPlan) => number): Interval => ({
    estimate: pick(plan),
    low: Math.min(...all.map(pick)) * (1 - ASSUMED_RANGE),
    high: Math.max(...all.map(pick)) * (1 + ASSUMED_RANGE),
  });
  return {
    region: plan.region,
    instance: plan.instance,
    market: plan.market,
    ...(fleet.deadlineS !== undefined && { deadlineSeconds: fleet.deadlineS }),
    ...(slow.inTime !== undefined && { inTime: slow.inTime }),
    ...(slow.hopeless === true && { hopeless: true }),
    invocations: plan.functions.concurrency,
    workers: plan.workers.max,
    seconds: interval(({ seconds }) => seconds),
    usd: interval(({ cost }) => cost.usd),
    usdPerMillion: interval(({ cost }) => cost.usdPerMillion),
    items: [...plan.cost.items],
    metered: {
      decodeSeconds: scaled(
        cpuMs,
        (measurements(cpuMs.estimate).lambdaSlowness.value * source.images) / 1000,
      ),
      functionSeconds: interval(({ usage }) => usage.lambdaSeconds),
      lambdaGbSeconds: interval(({ usage }) => usage.lambdaGbSeconds),
      // A worker's meter begins when it is ready.
      usd: interval(({ usage, workers }) =>
        meteredUsd(bill({ ...usage, workerSeconds: workers.readyHours * 3600 }, terms, prices)),
      ),
      assumptions: {
        region: plan.region,
        instanceType: terms.instanceType,
        market: terms.market,
        ...(terms.spotHourUsd !== undefined && { spotHourUsd: terms.spotHourUsd }),
        architecture: terms.architecture,
        volumeGb: terms.volumeGb,
        publicIpv4: terms.publicIpv4,
      },
    },
    bottleneck: bottleneck(plan, scenario.sourcePartitions ?? 1, measurements(cpuMs.estimate)),
    limits: plan.limits
      .filter(({ name, binds }) => binds && !isOwnChoice(name))
      .map(({ name, remark }) => `${name}: ${remark}`),
    assumed: Object.fromEntries(
      Object.entries(plan.assumed).map(([name, { value, note }]) => [name, { value, note }]),
    ),
  };
}

/** Such a limit binds because the fleet is no larger than it must be. */
function isOwnChoice(name: string): boolean {
  return name.endsWith(', as set');
}

/** The stage that would let the fewest images through, were the others without limit. */
function bottleneck(
  { functions, workers, pipelines }: CapacityPlan,
  sourcePartitions: number,
  { finalizedPerSecond }: Measurements,
): Quote['fleet']['bottleneck'] {
  const rates = {
    functions: functions.concurrency * functions.imagesPerSecond,
    workers: workers.max * workers.imagesPerSecond,
    source: S3_GETS_PER_PARTITION * sourcePartitions,
    finalize: finalizedPerSecond.value * pipelines,
  };
  const [stage, imagesPerSecond] = (Object.entries(rates) as [keyof typeof rates, number][]).reduce((a, b) =>
    b[1] < a[1] ? b : a,
  );
  const reasons = {
    functions: functions.heldBackBy,
    workers: workers.heldBackBy,
    source: "S3's limit of reads a second and partition",
    finalize: 'one job after the other',
  };
  return { stage, heldBackBy: reasons[stage], imagesPerSecond, rates };
}
