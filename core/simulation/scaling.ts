import type { ScalingRule } from '#core/fleet-scaling.ts';

/** How old the figures are that a decision is made on: queues tell CloudWatch of their messages a minute late. */
export const METRIC_AGE_S = 60;

/** What the alarms look at, once a minute. */
export interface Look {
  /** Packs that wait or are in hand, and all messages before the model. */
  readonly packs: number;
  readonly openWork: number;
  /** Workers that there shall be, and that there are. */
  readonly wanted: number;
  readonly workers: number;
}

/**
 * Makes the decisions of a {@link ScalingRule}, one a minute, as CloudWatch alarms and step scaling make them
 * ("Step and simple scaling policies" in the guide of EC2 Auto Scaling): an alarm goes off after so many looks on end, and
 * moves the group each minute for as long as it stands.
 */
export class Scaling {
  readonly #rule: ScalingRule;
  #overFor = 0;
  #littleFor = 0;
  #nothingFor = 0;

  constructor(rule: ScalingRule) {
    this.#rule = rule;
  }

  /**
   * @param look figures of {@link METRIC_AGE_S} ago.
   * @param now workers that there shall be by now, and those among them that have had their warm-up.
   * @returns how many workers there shall be.
   */
  decide({ packs, openWork, wanted, workers }: Look, now: { wanted: number; warm: number }): number {
    const { growAtPacks, growAfterMinutes, steps, shrinkBelow, shrinkAfterMinutes, shrinkPercent } =
      this.#rule;
    const ratio = packs / Math.max(wanted, 1) / growAtPacks;
    this.#overFor = ratio >= 1 ? this.#overFor + 1 : 0;
    this.#littleFor = wanted > 1 && ratio < shrinkBelow ? this.#littleFor + 1 : 0;
    this.#nothingFor = workers > 0 && openWork === 0 ? this.#nothingFor + 1 : 0;
    if (this.#nothingFor >= this.#rule.idleMinutes) return this.#bounded(0);
    if (wanted < 1 && openWork > 0) return this.#bounded(Math.max(1, now.wanted));
    if (this.#overFor >= growAfterMinutes) {
      const percent = steps.reduce((most, { from, percent }) => (ratio >= from ? percent : most), 0);
      // Those that are warming up are part of what is added.
      return this.#bounded(Math.max(now.wanted, now.warm + shareOf(now.warm, percent)));
    }
    if (this.#littleFor >= shrinkAfterMinutes && now.wanted > 1)
      return this.#bounded(now.wanted - Math.min(now.wanted - 1, shareOf(now.wanted, shrinkPercent)));
    return this.#bounded(now.wanted);
  }

  /** Functions that find work wake the fleet at once. */
  woken(wanted: number): number {
    return this.#bounded(Math.max(1, wanted));
  }

  #bounded(wanted: number): number {
    return Math.min(this.#rule.maxWorkers, Math.max(this.#rule.minWorkers, wanted));
  }
}

/** Auto Scaling rounds towards zero; `minAdjustmentMagnitude` is one. */
function shareOf(workers: number, percent: number): number {
  return Math.max(1, Math.floor((workers * percent) / 100));
}
