import {
  addUsage,
  isOwn,
  type JobUsage,
  METERED_STAGES,
  type MeteredStage,
  noUsage,
  type StageUsage,
  type Usage,
} from '#core/usage.ts';
import { type Alternative, alternativesOf } from './alternatives.ts';
import type { CostAssumptions } from './assumptions.ts';
import { type CostItem, costItems, sumOf, WASTE_KINDS, type WasteKind } from './cost-items.ts';
import { type EstimatedItem, estimatedItems } from './estimated-items.ts';
import { missingSpotPrice, type Prices } from './prices.ts';
import { type UnitPrice, unitPrices } from './unit-prices.ts';

/** A line with what a million images would come to at the same rate; `undefined` without images. */
type PerMillion<T> = T & { readonly usdPerMillion: number | undefined };

/** What was metered beside the job, and is in none of its figures. */
export interface Besides {
  /**
   * `idle pipeline`: waiting for work, and looking for it. `other jobs`: what processes told late, of jobs before. `not told yet`: by workers
   * that run, of this job or of none; their next part tells it, of whatever job that is.
   */
  readonly name: 'idle pipeline' | 'other jobs' | 'not told yet';
  readonly usd: number;
  /** Of workers. */
  readonly seconds: number;
  readonly requests: Usage['requests'];
  readonly items: readonly CostItem[];
}

/** What a job, or several, came to in dollars. */
export interface JobCost {
  readonly jobs: readonly string[];
  readonly isComplete: boolean;
  /** Images that were audited, unreadable or failed; those carried over from an earlier job cost nothing anew. */
  readonly images: number;
  /** As metered. */
  readonly usd: number;
  readonly usdPerMillion: number | undefined;
  readonly items: readonly PerMillion<CostItem>[];
  readonly byStage: readonly PerMillion<{ stage: MeteredStage; usd: number }>[];
  readonly byResource: readonly PerMillion<{ resource: string; usd: number }>[];
  readonly waste: readonly { waste: WasteKind; usd: number }[];
  readonly usdWasted: number;
  /** Time that went into repeated work, and time by which tries that failed have held their calls up, which is within that of functions and workers. */
  readonly wastedSeconds: {
    readonly functions: number;
    readonly workers: number;
    readonly heldUpByRetries: number;
  };
  /** Of the room in the batches that were run, the share that held an image; `undefined` where none was run. */
  readonly batchFill: number | undefined;
  /** Requests as they were sent, each try for itself. */
  readonly requests: Usage['requests'];
  readonly besides: readonly Besides[];
  /** What no meter tells, by assumptions; not in `usd`. */
  readonly estimated: readonly PerMillion<EstimatedItem>[];
  readonly estimatedUsd: number;
  readonly alternatives: readonly Alternative[];
  readonly assumptions: CostAssumptions;
  readonly unitPrices: readonly UnitPrice[];
  /** What is not in the figures, and what to doubt about them. */
  readonly notes: readonly string[];
}

export interface MeteredJob {
  readonly job: string;
  readonly isComplete: boolean;
  readonly images: number;
  readonly usage: JobUsage;
  /** Of a complete job, from its submission on. */
  readonly seconds?: number;
  /** What workers that run have not told yet: for this job, or for none. */
  readonly untold?: readonly StageUsage[];
  /** What could not be read. */
  readonly notes: readonly string[];
}

const LEFT_OUT =
  'left out: functions that were ended by Lambda and processes that were killed, with what they had not told; ' +
  'taxes, discounts and free tiers (docs/cost.md)';

/** The cost of some jobs, from what they say that they have consumed. @throws SluiceError `config-invalid` for a price that is missing. */
export function jobCost(jobs: readonly MeteredJob[], assumptions: CostAssumptions, prices: Prices): JobCost {
  const images = jobs.reduce((sum, job) => sum + job.images, 0);
  const perMillion = <T extends { readonly usd: number }>(line: T): PerMillion<T> => ({
    ...line,
    usdPerMillion: images > 0 ? (line.usd / images) * 1e6 : undefined,
  });
  const notes = new Set(jobs.flatMap((job) => job.notes));
  const note = (text: string): void => void notes.add(text);
  const told = jobs.flatMap(({ usage }) => usage.stages);
  // What one of the jobs told of another one belongs to them together.
  const names = new Set(jobs.map(({ job }) => job));
  const own = told.filter((stage) => isOwn(stage) || (!stage.idle && names.has(stage.job ?? '')));
  const total = totalOf(own);
  const worked = totalOf(own.filter(({ stage }) => stage === 'worker'));
  const items = costItems(own, assumptions, prices, note);
  const usd = sumOf(items);
  const besides: Besides[] = (
    [
      ['idle pipeline', told.filter(({ idle }) => idle)],
      ['other jobs', told.filter((stage) => !stage.idle && !own.includes(stage))],
      ['not told yet', jobs.flatMap(({ untold = [] }) => untold)],
    ] as const
  ).map(([name, stages]) => besidesOf(name, stages, costItems(stages, assumptions, prices, note)));
  const { slots = 0, images: inBatches = 0 } = worked.counts;
  const estimated = estimatedItems(jobs, own, assumptions, prices);
  const { instanceType, market, spotHourUsd } = assumptions;
  const missingSpot = missingSpotPrice(prices, instanceType, market, spotHourUsd);
  if (missingSpot !== undefined) note(missingSpot);
  note(LEFT_OUT);
  return {
    jobs: jobs.map(({ job }) => job),
    isComplete: jobs.every(({ isComplete }) => isComplete),
    images,
    ...perMillion({ usd }),
    items: items.map(perMillion),
    byStage: METERED_STAGES.map((stage) =>
      perMillion({ stage, usd: sumOf(items.filter((item) => item.stage === stage)) }),
    ),
    byResource: [...new Set(items.map(({ resource }) => resource))]
      .map((resource) =>
        perMillion({ resource, usd: sumOf(items.filter((item) => item.resource === resource)) }),
      )
      .sort((a, b) => b.usd - a.usd),
    waste: WASTE_KINDS.map((waste) => ({ waste, usd: sumOf(items.filter((item) => item.waste === waste)) })),
    usdWasted: sumOf(items.filter(({ waste }) => waste !== undefined)),
    wastedSeconds: wastedSeconds(own, total),
    batchFill: slots > 0 ? inBatches / slots : undefined,
    requests: total.requests,
    besides,
    estimated: estimated.map(perMillion),
    estimatedUsd: sumOf(estimated),
    alternatives: alternativesOf(total, worked, images, assumptions, prices),
    assumptions,
    unitPrices: unitPrices(assumptions, prices),
    notes: [...notes],
  };
}

function totalOf(stages: readonly StageUsage[]): Usage {
  const total = noUsage();
  for (const { usage } of stages) addUsage(total, usage);
  return total;
}

function besidesOf(
  name: Besides['name'],
  stages: readonly StageUsage[],
  items: readonly CostItem[],
): Besides {
  const { requests } = totalOf(stages);
  return { name, usd: sumOf(items), seconds: workerMs(stages) / 1000, requests, items };
}

function wastedSeconds(own: readonly StageUsage[], total: Usage): JobCost['wastedSeconds'] {
  const wasted = own.filter(({ waste }) => waste);
  return {
    functions: (totalOf(wasted).ms['function'] ?? 0) / 1000,
    workers: workerMs(wasted) / 1000,
    heldUpByRetries: (total.ms['retried'] ?? 0) / 1000,
  };
}

function workerMs(stages: readonly StageUsage[]): number {
  const { run = 0, commit = 0, fetch = 0, message = 0, start = 0 } = totalOf(stages).ms;
  return run + commit + fetch + message + start;
}
