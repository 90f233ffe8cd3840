import { z } from 'zod';
import { CostAssumptions } from './cost/assumptions.ts';
import { Prices } from './cost/prices.ts';
import { SluiceError } from './error.ts';

/**
 * What a job may cost, and what it is reckoned by: prices and assumptions go with the job, so that all that feed it
 * reckon alike.
 */
export const Budget = z.strictObject({
  usd: z.number().positive(),
  assumptions: CostAssumptions,
  prices: Prices,
  /** What a million images cost, until some are metered. */
  firstUsdPerMillion: z.number().positive().default(50),
});
export type Budget = z.infer<typeof Budget>;

/** Where a job stands that is fed within a budget. */
export interface FedJob {
  /** Images of each shard, in the order in which they are sent. */
  readonly shards: readonly { readonly refs: number }[];
  /** Shards that are sent. */
  readonly sent: number;
  /** Images that have their row, and of those sent the ones on their way. */
  readonly done: number;
  readonly underWay: number;
  readonly meteredUsd: number;
  /** Of it, what grows with the images. */
  readonly perImageUsd: number;
  /** What was metered when shards were last sent; before the first one, nothing. */
  readonly meteredAtSendingUsd?: number | undefined;
  /** What a look at it costs, this one too, which is not metered yet. */
  readonly lookUsd?: number;
}

/** Why a job is held, and what it takes to let it go on. */
export const BudgetHold = z.strictObject({
  /**
   * `planning-exceeds`: to plan it has cost the whole budget. `first-shard`: one shard is dearer than what is left, at the price that
   * is assumed as long as no image is done. `full`: the next shard is dearer than what is left, at what the others have cost.
   */
  reason: z.enum(['planning-exceeds', 'first-shard', 'full']),
  /** Metered beyond the budget. */
  overshootUsd: z.number().min(0),
  /** What was metered since the last shard was sent: what was in flight then has cost so much. The overshoot is no more than this. */
  inFlightUsd: z.number().min(0),
  /** What a million images cost, as far as is known. */
  usdPerMillion: z.number().min(0),
  /** The smallest budget with which one more shard is sent. */
  sufficientUsd: z.number().min(0),
  /** What all of it will have cost, at the same rate. */
  wholeUsd: z.number().min(0),
});
export type BudgetHold = z.infer<typeof BudgetHold>;

export interface Feeding {
  /** Shards to send now. */
  readonly shards: number;
  /** What the images under way will cost, at what the others have cost, with those that are sent now. */
  readonly committedUsd: number;
  /** Nothing is under way and no more may be: only another budget changes that. */
  readonly hold: BudgetHold | undefined;
}

/** Until there is something to reckon from, no more of a job is risked than these shares of budget and shards. */
const FIRST_SHARE_OF_BUDGET = 0.1;
const FIRST_SHARE_OF_SHARDS = 0.05;
/** What looks may cost beyond what they are known to: a hundred of them at the prices of us-east-1. */
const LOOK_SAFETY_USD = 0.0005;

/** How many shards fit into what is left of a budget: metered plus committed cost stays within it. */
export function feedingWithin(budget: Pick<Budget, 'usd' | 'firstUsdPerMillion'>, job: FedJob): Feeding {
  const isFirst = job.done === 0;
  const imageUsd = isFirst ? budget.firstUsdPerMillion / 1e6 : job.perImageUsd / job.done;
  let committedUsd = job.underWay * imageUsd;
  const firstShards = Math.max(1, Math.floor(job.shards.length * FIRST_SHARE_OF_SHARDS));
  const mostShards = isFirst ? firstShards - job.sent : Number.POSITIVE_INFINITY;
  let shards = 0;
  for (const { refs } of job.shards.slice(job.sent)) {
    // One shard must go first, or nothing could ever be metered.
    const share = isFirst && job.sent + shards > 0 ? FIRST_SHARE_OF_BUDGET : 1;
    const usd = refs * imageUsd;
    if (shards >= mostShards || job.meteredUsd + committedUsd + usd > budget.usd * share) break;
    committedUsd += usd;
    shards++;
  }
  const next = job.shards[job.sent];
  const isHeld = shards === 0 && job.underWay === 0 && next !== undefined;
  return { shards, committedUsd, hold: isHeld ? holdOf(budget.usd, job, next.refs, imageUsd) : undefined };
}

function holdOf(budgetUsd: number, job: FedJob, nextRefs: number, imageUsd: number): BudgetHold {
  const { meteredUsd, meteredAtSendingUsd, lookUsd = 0 } = job;
  // This look and the next one come on top.
  const before = meteredUsd + 2 * lookUsd + LOOK_SAFETY_USD;
  const left = job.shards.slice(job.sent).reduce((refs, shard) => refs + shard.refs, 0);
  const isFirst = job.done === 0;
  return {
    reason: !isFirst ? 'full' : meteredUsd >= budgetUsd ? 'planning-exceeds' : 'first-shard',
    overshootUsd: Math.max(0, meteredUsd - budgetUsd),
    inFlightUsd: Math.max(0, meteredUsd - (meteredAtSendingUsd ?? 0)),
    usdPerMillion: imageUsd * 1e6,
    sufficientUsd: roundedUp(before + nextRefs * imageUsd),
    wholeUsd: roundedUp(before + left * imageUsd),
  };
}

/** To four digits: an amount for people, and none that rounding makes too small. */
function roundedUp(usd: number): number {
  const unit = 10 ** (Math.floor(Math.log10(usd)) - 3);
  return Number((Math.ceil(usd / unit) * unit).toPrecision(5));
}

/** "25usd", "$25" or "25" as dollars. @throws SluiceError `config-invalid` for anything else. */
export function parseUsd(text: string): number {
  const [, amount] = /^\$?(\d+(?:\.\d+)?)\s*(?:usd)?$/i.exec(text.trim()) ?? [];
  if (amount !== undefined && Number(amount) > 0) return Number(amount);
  throw new SluiceError('config-invalid', `expected a budget such as 25usd, got "${text}"`);
}
