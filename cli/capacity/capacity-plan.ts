import { type BillItem, type BillTerms, bill, tieredUsd, totalUsd, type Usage } from '#core/cost/bill.ts';
import type { Prices } from '#core/cost/prices.ts';
import type { FleetFound } from '#core/simulation/fleet-for.ts';
import { type Limit, limitsOf } from '#core/simulation/limits.ts';
import type { Figure, Measurements } from '#core/simulation/measurements.ts';
import { invocationRate } from '#core/simulation/service-times.ts';

/** A planned fleet with its price: what `sluice plan-capacity --json` prints. */
export interface CapacityPlan {
  readonly images: number;
  readonly region: string;
  readonly instance: string;
  readonly market: 'spot' | 'on-demand';
  readonly deadlineSeconds?: number;
  readonly inTime?: boolean;
  /** From the first message to the last job's completion, to the last part, and to the last worker's end. */
  readonly seconds: number;
  readonly inferredSeconds: number;
  readonly fleetGoneSeconds: number;
  readonly functions: {
    readonly concurrency: number;
    readonly peak: number;
    readonly imagesPerSecond: number;
    readonly heldBackBy: string;
    readonly coldStarts: number;
    readonly handedBack: number;
  };
  readonly workers: {
    readonly max: number;
    readonly peak: number;
    readonly imagesPerSecond: number;
    readonly heldBackBy: string;
    /** Paid, from launch to end; and of them those in which they were ready. */
    readonly hours: number;
    readonly readyHours: number;
    /** Of the time in which they were ready, and of the time that is paid. */
    readonly utilisation: number;
    readonly paidUtilisation: number;
    readonly launches: number;
    readonly interruptions: number;
    readonly imagesRepeated: number;
  };
  readonly backlog: { readonly limitPacks: number; readonly peakPacks: number };
  readonly jobs: number;
  readonly pipelines: number;
  readonly usage: Usage;
  readonly cost: {
    readonly usd: number;
    readonly usdPerMillion: number;
    readonly items: readonly BillItem[];
  };
  readonly alternatives: readonly { readonly name: string; readonly usd: number }[];
  readonly limits: readonly Limit[];
  /** Figures that nobody has measured. */
  readonly assumed: Readonly<Record<string, Figure>>;
  readonly samples: readonly {
    readonly atS: number;
    readonly backlogPacks: number;
    readonly shards: number;
    readonly invocations: number;
    readonly workers: number;
    readonly ready: number;
    readonly utilisation: number;
    readonly inferred: number;
    readonly usd: number;
  }[];
}

export function capacityPlan(
  { outcome, isInTime }: Pick<FleetFound, 'outcome' | 'isInTime'>,
  deadlineS: number | undefined,
  parts: { terms: BillTerms; prices: Prices; measurements: Measurements },
): CapacityPlan {
  const { scenario, times, busyS, readyS, paidS } = outcome;
  const { terms, prices, measurements } = parts;
  const items = bill(outcome.usage, terms, prices);
  const usd = totalUsd(items);
  const samples = outcome.samples.map((sample) => ({
    atS: sample.atS,
    backlogPacks: sample.backlogPacks,
    shards: sample.shards,
    invocations: sample.invocations,
    workers: sample.workers,
    ready: sample.ready,
    utilisation: sample.utilisation,
    inferred: sample.inferred,
    usd: totalUsd(bill(sample.usage, terms, prices)),
  }));
  return {
    images: scenario.images,
    region: prices.region,
    instance: terms.instanceType,
    market: terms.market,
    ...(deadlineS !== undefined && { deadlineSeconds: deadlineS }),
    ...(isInTime !== undefined && { inTime: isInTime }),
    seconds: outcome.seconds,
    inferredSeconds: outcome.inferredS,
    fleetGoneSeconds: outcome.fleetGoneS,
    functions: {
      concurrency: scenario.functions.concurrency,
      peak: outcome.peakInvocations,
      imagesPerSecond: invocationRate(scenario, times),
      heldBackBy: times.invocationBound,
      coldStarts: outcome.coldStarts,
      handedBack: outcome.handedBack,
    },
    workers: {
      max: scenario.scaling.maxWorkers,
      peak: outcome.peakWorkers,
      imagesPerSecond: 1 / times.workerImageS,
      heldBackBy: times.workerBound,
      hours: paidS / 3600,
      readyHours: readyS / 3600,
      utilisation: readyS > 0 ? busyS / readyS : 0,
      paidUtilisation: paidS > 0 ? busyS / paidS : 0,
      launches: outcome.launches,
      interruptions: outcome.interruptions,
      imagesRepeated: outcome.repeated,
    },
    backlog: {
      limitPacks: scenario.maxBacklogPacks,
      peakPacks: Math.max(...samples.map(({ backlogPacks }) => backlogPacks)),
    },
    jobs: outcome.jobs,
    pipelines: scenario.pipelines,
    usage: outcome.usage,
    cost: { usd, usdPerMillion: (usd / scenario.images) * 1e6, items },
    alternatives: alternatives(scenario.images, paidS / 3600, prices),
    limits: limitsOf(outcome, measurements),
    assumed: Object.fromEntries(
      Object.entries(measurements).filter(
        (entry): entry is [string, Figure] => (entry[1] as Partial<Figure>).basis === 'assumed',
      ),
    ),
    samples,
  };
}

function alternatives(
  images: number,
  workerHours: number,
  { alternatives: { rekognitionModeration, sageMaker } }: Prices,
): { name: string; usd: number }[] {
  return [
    ...(rekognitionModeration === undefined
      ? []
      : [
          {
            name: 'Rekognition image moderation, all of them in one month',
            usd: tieredUsd(rekognitionModeration, images),
          },
        ]),
    ...Object.entries(sageMaker).map(([type, { usd }]) => ({
      name: `the same worker hours on SageMaker ${type}, without preprocessing`,
      usd: workerHours * usd,
    })),
  ];
}
