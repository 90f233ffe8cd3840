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
}

export interface Feeding {
  /** Shards to send now. */
  readonly shards: number;
  /** What the images under way will cost, at what the others have cost, with those that are sent now. */
  readonly committedUsd: number;
  /** Nothing is under way and no more may be: only another budget changes that. */
  readonly isHeld: boolean;
}

/** Until there is something to reckon from, no more of a job is risked than these shares of budget and shards. */
const FIRST_SHARE_OF_BUDGET = 0.1;
const FIRST_SHARE_OF_SHARDS = 0.05;

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
  const isHeld = shards === 0 && job.underWay === 0 && job.sent < job.shards.length;
  return { shards, committedUsd, isHeld };
}

/** "25usd", "$25" or "25" as dollars. @throws SluiceError `config-invalid` for anything else. */
export function parseUsd(text: string): number {
  const [, amount] = /^\$?(\d+(?:\.\d+)?)\s*(?:usd)?$/i.exec(text.trim()) ?? [];
  if (amount !== undefined && Number(amount) > 0) return Number(amount);
  throw new SluiceError('config-invalid', `expected a budget such as 25usd, got "${text}"`);
}
