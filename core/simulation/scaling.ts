import { z } from 'zod';

/** How many workers run, by how many packs wait for each. The form is that of step scaling in EC2 Auto Scaling. */
export const ScalingRule = z.strictObject({
  /** Between two decisions; CloudWatch has a figure a minute for a queue. */
  everyS: z.number().positive().default(60),
  /** How old the backlog is that a decision is made on: queues tell CloudWatch of it a minute late. */
  metricAgeS: z.number().min(0).default(60),
  minWorkers: z.int().min(0).default(0),
  maxWorkers: z.int().min(1).default(4),
  /** Packs a worker that are just right: some seconds of its work. */
  targetPacks: z.number().positive().default(400),
  /** At `from` times the target or more, that share of the workers is added, one at least. The highest step counts. */
  steps: z
    .array(z.strictObject({ from: z.number().positive(), add: z.number().positive() }))
    .min(1)
    .default([
      { from: 1, add: 0.25 },
      { from: 2, add: 0.5 },
      { from: 4, add: 1 },
    ]),
  /** Below this share of the target, for so many decisions on end, workers are let go. */
  releaseBelow: z.number().min(0).max(1).default(0.1),
  releaseAfter: z.int().min(1).default(5),
  /** This share of them at a time, one at least; half of them where nothing is left to do. */
  releaseShare: z.number().positive().max(1).default(0.1),
});
export type ScalingRule = z.infer<typeof ScalingRule>;

/** Makes the decisions of a {@link ScalingRule}, one after the other. */
export class Scaling {
  readonly #rule: ScalingRule;
  #quiet = 0;

  constructor(rule: ScalingRule) {
    this.#rule = rule;
  }

  /**
   * @param workers how many there shall be now, starting ones included.
   * @param isMoreToCome whether there are shards, waiting or in flight: a worker that is faster than the functions sees
   *   an empty backlog every other moment, and is not to be ended and started again all night.
   * @returns how many workers there shall be.
   */
  decide(backlogPacks: number, workers: number, isMoreToCome: boolean): number {
    const { minWorkers, maxWorkers, targetPacks, steps, releaseBelow, releaseAfter, releaseShare } =
      this.#rule;
    const bounded = (wanted: number): number => Math.min(maxWorkers, Math.max(minWorkers, wanted));
    const isOver = backlogPacks === 0 && !isMoreToCome;
    if (workers === 0) return bounded(isOver ? 0 : 1);
    const ratio = backlogPacks / workers / targetPacks;
    if (ratio >= releaseBelow) {
      this.#quiet = 0;
      const step = steps.reduce((add, { from, add: more }) => (ratio >= from ? Math.max(add, more) : add), 0);
      return bounded(workers + Math.ceil(workers * step));
    }
    this.#quiet++;
    if (this.#quiet < releaseAfter) return bounded(workers);
    this.#quiet = 0;
    const share = isOver ? Math.max(0.5, releaseShare) : releaseShare;
    const left = workers - Math.max(1, Math.floor(workers * share));
    // The last one goes only where nothing is left: else it would be started again at once.
    return bounded(isOver ? left : Math.max(1, left));
  }
}
