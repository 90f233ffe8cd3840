import {
  type BillItem,
  type BillTerms,
  bill,
  tieredUsd,
  timesUsage,
  totalUsd,
  type Usage,
} from '#core/cost/bill.ts';
import type { Prices } from '#core/cost/prices.ts';
import type { FleetFound, FleetSettings } from '#core/simulation/fleet-for.ts';
import { type Limit, limitsOf } from '#core/simulation/limits.ts';
import type { Figure, Measurements } from '#core/simulation/measurements.ts';
import { invocationRate } from '#core/simulation/service-times.ts';
import { environmentFor, notDeployable } from './deployment.ts';

/** A planned fleet with its price: what `sluice plan-capacity --json` prints. */
export interface CapacityPlan {
  readonly images: number;
  readonly region: string;
  readonly instance: string;
  readonly market: 'spot' | 'on-demand';
  readonly deadlineSeconds?: number;
  readonly inTime?: boolean;
  /** No fleet would be in time. */
  readonly hopeless?: boolean;
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
  /** Of each pipeline; functions, workers and backlog above are those of all pipelines together. */
  readonly settings: FleetSettings;
  /** What the environment file of each stack must say (infra/environments/), and what of the scenario none can say. */
  readonly environment: Readonly<Record<string, object>>;
  readonly notDeployable: readonly string[];
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
  { outcome, isInTime, isHopeless, settings }: FleetFound,
  deadlineS: number | undefined,
  parts: { terms: BillTerms; prices: Prices; measurements: Measurements },
): CapacityPlan {
  const { scenario, times, busyS, readyS } = outcome;
  const { pipelines } = scenario;
  const paidS = outcome.paidS * pipelines;
  const usage = timesUsage(outcome.usage, pipelines);
  const { terms, prices, measurements } = parts;
  const items = bill(usage, terms, prices);
  const usd = totalUsd(items);
  const samples = outcome.samples.map((sample) => ({
    atS: sample.atS,
    backlogPacks: sample.backlogPacks * pipelines,
    shards: sample.shards * pipelines,
    invocations: sample.invocations * pipelines,
    workers: sample.workers * pipelines,
    ready: sample.ready * pipelines,
    utilisation: sample.utilisation,
    inferred: Math.min(scenario.images, sample.inferred * pipelines),
    usd: totalUsd(bill(timesUsage(sample.usage, pipelines), terms, prices)),
  }));
  return {
    images: scenario.images,
    region: prices.region,
    instance: terms.instanceType,
    market: terms.market,
    ...(deadlineS !== undefined && { deadlineSeconds: deadlineS }),
    ...(isInTime !== undefined && { inTime: isInTime }),
    ...(isHopeless && { hopeless: true }),
    seconds: outcome.seconds,
    inferredSeconds: outcome.inferredS,
    fleetGoneSeconds: outcome.fleetGoneS,
    functions: {
      concurrency: settings.concurrency * pipelines,
      peak: outcome.peakInvocations * pipelines,
      imagesPerSecond: invocationRate(scenario, times),
      heldBackBy: times.invocationBound,
      coldStarts: outcome.coldStarts * pipelines,
      handedBack: outcome.handedBack * pipelines,
    },
    workers: {
      max: settings.maxWorkers * pipelines,
      peak: outcome.peakWorkers * pipelines,
      imagesPerSecond: 1 / times.workerImageS,
      heldBackBy: times.workerBound,
      hours: paidS / 3600,
      readyHours: (readyS * pipelines) / 3600,
      utilisation: readyS > 0 ? busyS / readyS : 0,
      paidUtilisation: outcome.paidS > 0 ? busyS / outcome.paidS : 0,
      launches: outcome.launches * pipelines,
      interruptions: outcome.interruptions * pipelines,
      imagesRepeated: outcome.repeated * pipelines,
    },
    backlog: {
      limitPacks: settings.maxBacklogPacks * pipelines,
      peakPacks: Math.max(...samples.map(({ backlogPacks }) => backlogPacks)),
    },
    jobs: outcome.jobs * pipelines,
    pipelines,
    settings,
    environment: environmentFor(settings, scenario),
    notDeployable: notDeployable(scenario),
    usage,
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

/** What a simulated outcome costs, over all of its pipelines. */
export function usdOf(terms: BillTerms, prices: Prices): (outcome: FleetFound['outcome']) => number {
  return ({ usage, scenario }) => totalUsd(bill(timesUsage(usage, scenario.pipelines), terms, prices));
}
