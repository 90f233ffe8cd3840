import type { MeteredStage } from '#core/usage.ts';
import type { JobCost, MeteredJob } from './job-cost.ts';

/** A complete job and what it came to. */
export interface CompletedCost extends JobCost {
  /** ISO 8601. */
  readonly completedAt: string;
}

/** What the jobs of some time have cost, in the order of their completion. */
export interface CostHistory {
  readonly months: readonly {
    /** "2026-11", UTC. */
    readonly month: string;
    readonly total: JobCost;
    readonly jobs: readonly CompletedCost[];
  }[];
  readonly all: JobCost;
}

/**
 * @param jobs in the order of their completion.
 * @param reckon what some jobs cost together.
 */
export function costHistory(
  jobs: readonly { readonly completedAt: string; readonly job: MeteredJob }[],
  reckon: (jobs: readonly MeteredJob[]) => JobCost,
): CostHistory {
  const months = [...new Set(jobs.map(({ completedAt }) => completedAt.slice(0, 7)))].map((month) => {
    const own = jobs.filter(({ completedAt }) => completedAt.startsWith(month));
    return {
      month,
      total: reckon(own.map(({ job }) => job)),
      jobs: own.map(({ completedAt, job }) => ({ completedAt, ...reckon([job]) })),
    };
  });
  return { months, all: reckon(jobs.map(({ job }) => job)) };
}

/** What of a job's cost each stage was worth: with {@link JobCost.usdWasted}, these make up the whole. */
export function usefulUsd({ byStage, items }: JobCost): { stage: MeteredStage; usd: number }[] {
  return byStage.map(({ stage }) => ({
    stage,
    usd: items
      .filter((item) => item.stage === stage && item.waste === undefined)
      .reduce((sum, { usd }) => sum + usd, 0),
  }));
}
