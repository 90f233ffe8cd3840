import type { z } from 'zod';
import { S3_GETS_PER_PARTITION } from './functions.ts';
import type { Measurements } from './measurements.ts';
import { Scenario } from './scenario.ts';
import { invocationRate, serviceTimes } from './service-times.ts';
import { type Outcome, simulate } from './simulate.ts';

/** What is decided by the caller; what is left out is looked for. */
export interface FleetWishes {
  readonly deadlineS?: number | undefined;
  readonly concurrency?: number | undefined;
  readonly maxWorkers?: number | undefined;
  readonly maxBacklogPacks?: number | undefined;
}

/** More than this is looked for only on demand: one event source, and the quota of a new account, end here. */
const MOST_INVOCATIONS = 1000;
const MOST_WORKERS = 500;
const FEWEST_INVOCATIONS = 2;
/** Of functions, over what the deadline needs: ramps, cold starts and uneven ends take their share. */
const FUNCTION_MARGIN = 1.1;
/** Workers get more than functions: they are cheap beside them, and are let go where they are not needed. */
const WORKER_MARGIN = 1.25;
const MAX_TRIES = 8;
const TRY_MORE = 1.05;
/** Packs a worker: some seconds of its work, so that it never waits and the fleet sees a backlog early. */
const BACKLOG_S = 10;
/** The backlog may grow to so many times what the scaling rule thinks right: its highest step is at four. */
const BACKLOG_TARGETS = 5;
const LEAST_BACKLOG_PACKS = 2000;

/** A fleet, and whether it is done in time; `undefined` where there is no deadline. */
export interface FleetFound {
  readonly outcome: Outcome;
  readonly isInTime: boolean | undefined;
  /** Simulations that were run. */
  readonly tries: number;
}

/**
 * The smallest fleet that is done by the deadline, nearly: from the rates of the stages, then by trying. Without a
 * deadline, workers for as many invocations as there are.
 */
export function fleetFor(
  base: z.input<typeof Scenario>,
  wishes: FleetWishes,
  measurements: Measurements,
): FleetFound {
  const start = Scenario.parse(base);
  const times = serviceTimes(start, measurements);
  const perInvocation = invocationRate(start, times);
  const perWorker = 1 / times.workerImageS;
  const { deadlineS } = wishes;
  const leadS = leadSeconds(start, measurements);
  let rate =
    deadlineS === undefined
      ? (wishes.concurrency ?? start.functions.concurrency) * perInvocation
      : start.images / Math.max(deadlineS * 0.2, deadlineS - leadS);
  // Nobody reads faster than S3 answers.
  const fastest = S3_GETS_PER_PARTITION * start.sourcePartitions;
  for (let tries = 1; ; tries++) {
    rate = Math.min(rate, fastest);
    const concurrency =
      wishes.concurrency ??
      (deadlineS === undefined
        ? start.functions.concurrency
        : clamp((FUNCTION_MARGIN * rate) / perInvocation, FEWEST_INVOCATIONS, MOST_INVOCATIONS));
    const fed = Math.min(rate * FUNCTION_MARGIN, concurrency * perInvocation);
    const maxWorkers = wishes.maxWorkers ?? clamp((WORKER_MARGIN * fed) / perWorker, 1, MOST_WORKERS);
    const targetPacks =
      base.scaling?.targetPacks ?? Math.max(1, Math.round((BACKLOG_S * perWorker) / start.packSize));
    const maxBacklogPacks =
      wishes.maxBacklogPacks ?? Math.max(LEAST_BACKLOG_PACKS, BACKLOG_TARGETS * targetPacks * maxWorkers);
    const outcome = simulate(
      Scenario.parse({
        ...base,
        functions: { ...base.functions, concurrency },
        scaling: { ...base.scaling, maxWorkers, targetPacks },
        maxBacklogPacks,
      }),
      measurements,
    );
    if (deadlineS === undefined) return { outcome, isInTime: undefined, tries };
    const isInTime = outcome.seconds <= deadlineS;
    const isLargest =
      rate === fastest ||
      ((wishes.concurrency !== undefined || concurrency === MOST_INVOCATIONS) &&
        (wishes.maxWorkers !== undefined || maxWorkers === MOST_WORKERS));
    // Where the images would be done in time, and completing jobs takes too long, a larger fleet is of no use.
    const isFleetLate = outcome.inferredS + lastJobSeconds(start, measurements) > deadlineS;
    if (isInTime || isLargest || !isFleetLate || tries === MAX_TRIES) return { outcome, isInTime, tries };
    rate *= (outcome.seconds / deadlineS) * TRY_MORE;
  }
}

/** Seconds in which no image gets done: planning the first jobs, starting the first worker, completing the last job. */
function leadSeconds(scenario: Scenario, m: Measurements): number {
  const job = Math.min(scenario.images, scenario.imagesPerJob);
  const { everyS, metricAgeS } = scenario.scaling;
  return (
    job / m.listedPerSecond.value +
    everyS +
    metricAgeS +
    m.bootS.value +
    m.engineLoadS.value +
    lastJobSeconds(scenario, m)
  );
}

/** From the last part to the completion of its job: up to the next minute, then the job's rows. */
function lastJobSeconds({ images, imagesPerJob }: Scenario, m: Measurements): number {
  return 60 + Math.min(images, imagesPerJob) / m.finalizedPerSecond.value;
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, Math.ceil(value)));
}
