import type { BudgetHold } from '#core/budget.ts';
import { formatUsd } from '#report/money.ts';
import type { PipelineStatus } from './pipeline-status.ts';

/** Where a job stands within its budget: why it is held, by how much it has overshot, and with how much it would go on. */
export function budgetLines(job: string, budget: NonNullable<PipelineStatus['budget']>): string[] {
  const { usd, meteredUsd, committedUsd, isHeld, hold } = budget;
  const line =
    `${formatUsd(usd)}: ${formatUsd(meteredUsd)} metered, ` +
    `${formatUsd(committedUsd)} committed to what is under way`;
  if (!isHeld) return [line];
  if (hold === undefined) return [line, `no more is fed: sluice budget ${job} <amount> lets it go on`];
  const { overshootUsd, inFlightUsd, sufficientUsd, wholeUsd } = hold;
  return [
    line,
    `no more is fed: ${reasonText(hold)}`,
    overshootUsd > 0
      ? `overshot by ${formatUsd(overshootUsd)}; since the last shard was sent, ${formatUsd(inFlightUsd)} were metered`
      : 'not overshot',
    `sluice budget ${job} ${sufficientUsd}usd sends one more shard; for all of it some ${formatUsd(wholeUsd)} are enough at this rate`,
  ];
}

function reasonText({ reason, usdPerMillion }: BudgetHold): string {
  const rate = `${formatUsd(usdPerMillion)} a million images`;
  switch (reason) {
    case 'planning-exceeds':
      return 'to plan the job has cost the whole budget';
    case 'first-shard':
      return `the first shard is dearer than what is left, at ${rate}, which is assumed until some are metered`;
    case 'full':
      return `the next shard is dearer than what is left, at ${rate}, as the others have cost`;
  }
}
