import { z } from 'zod';

/** CloudWatch looks at queues and group once a minute: a rule's times are counted in its looks. */
export const ALARM_PERIOD_S = 60;
/** From the launch of an instance to its worker's first pack: boot, drivers, container image. Assumed; nobody has measured it. */
export const WORKER_START_S = 300;
/** Decoding processes of one `preprocess`: it has memory for two processors. */
const PREPROCESS_PROCESSES = 2;

/**
 * When a fleet of workers grows and shrinks, by the packs that wait or are in hand for each worker that was asked for.
 * `infra/fleet-scaling.ts` deploys it, and core/simulation/ simulates it: the defaults are those of both.
 */
export const ScalingRule = z
  .strictObject({
    minWorkers: z.int().min(0).default(0),
    /** They take 16 vCPUs of G instances. */
    maxWorkers: z.int().min(1).max(1000).default(4),
    /**
     * Packs for each worker from which the fleet grows: at 64 images a pack and 1,000 images a second, a worker takes 13
     * seconds for 200. A pipeline's `maxBacklogPacks` must leave room for as many for each of its workers.
     */
    growAtPacks: z.number().positive().default(200),
    growAfterMinutes: z.int().min(1).default(2),
    /** From so many times `growAtPacks` on, so much is added, one at least. The highest step counts. */
    steps: z
      .array(z.strictObject({ from: z.number().min(1), percent: z.int().min(1) }))
      .min(1)
      .refine(
        (steps) =>
          steps[0]?.from === 1 && steps.every(({ from }, i) => i === 0 || from > (steps[i - 1]?.from ?? 0)),
        'expected the first step from 1 on, and each from more than the one before',
      )
      .default([
        { from: 1, percent: 50 },
        { from: 2, percent: 100 },
      ]),
    /** Instances that were launched later than this count as none yet: more of them help nobody. */
    warmUpS: z.number().min(0).default(WORKER_START_S),
    /** Below this share of `growAtPacks`, for so long, so much of the fleet goes: one at least, never the last. */
    shrinkBelow: z.number().min(0).max(1).default(0.1),
    shrinkAfterMinutes: z.int().min(1).default(10),
    shrinkPercent: z.int().min(1).max(100).default(25),
    /**
     * Where nothing waits or is in hand for so long, all go. It must outlast the start of a worker, and the lag of the
     * metrics of queues that have been idle. Each minute of it costs an idle GPU.
     */
    idleMinutes: z.int().min(1).default(8),
  })
  .refine(({ minWorkers, maxWorkers }) => minWorkers <= maxWorkers, {
    path: ['minWorkers'],
    message: 'expected at most maxWorkers',
  });
export type ScalingRule = z.infer<typeof ScalingRule>;

export const DEPLOYED_SCALING: ScalingRule = ScalingRule.parse({});

/** Packs that must be able to wait: those that make the fleet grow to its limit, and those that all invocations are making. */
export function backlogFor(
  { growAtPacks, maxWorkers }: Pick<ScalingRule, 'growAtPacks' | 'maxWorkers'>,
  concurrency: number,
  processes = PREPROCESS_PROCESSES,
): number {
  return Math.ceil(growAtPacks * maxWorkers) + concurrency * processes;
}
