import type { z } from 'zod';
import { backlogFor, DEPLOYED_SCALING } from '#core/fleet-scaling.ts';
import { S3_GETS_PER_PARTITION } from './functions.ts';
import type { Measurements } from './measurements.ts';
import { Scenario } from './scenario.ts';
import { invocationRate, serviceTimes } from './service-times.ts';
import { type Outcome, simulate } from './simulate.ts';

/** Settings of each pipeline that are decided by the caller; what is left out is looked for. */
export interface FleetWishes {
  readonly deadlineS?: number | undefined;
  readonly concurrency?: number | undefined;
  readonly maxWorkers?: number | undefined;
  readonly growAtPacks?: number | undefined;
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
/** As core/pipeline-config.ts has it; a stack with many workers has more. */
const USUAL_BACKLOG_PACKS = 2000;
/** Where it is looked for a cheaper fleet: workers beside those of the first one, and thresholds beside the deployed one. */
const OTHER_WORKERS = [0.6, 0.7, 0.8, 0.9];
const OTHER_GROW_AT_PACKS = [50, 100, 400, 800, 1600];
/** A search looks more coarsely than the plan that comes out of it. */
const SEARCH_EVENTS = 10_000;
/** Other settings than the deployed ones must be worth their while: a share of the cost. */
const WORTH_IT = 0.01;
/** Without a deadline, a cheaper fleet may take so many times as long. */
const SLOWER_AT_MOST = 1.05;

/** What each pipeline is to be deployed with. */
export interface FleetSettings {
  readonly concurrency: number;
  readonly maxWorkers: number;
  readonly growAtPacks: number;
  readonly maxBacklogPacks: number;
}

/** A fleet, and whether it is done in time; `undefined` where there is no deadline. */
export interface FleetFound {
  readonly outcome: Outcome;
  readonly isInTime: boolean | undefined;
  readonly settings: FleetSettings;
  /** Whether no fleet would be in time: S3, or completing jobs, takes longer than the deadline allows. */
  readonly isHopeless: boolean;
  /** Simulations that were run to meet the deadline. */
  readonly tries: number;
}

/**
 * The smallest fleet that is done by the deadline, nearly: from the rates of the stages, then by trying; and then the
 * cheapest one around it, by the workers that it may have and the backlog at which it grows. Without a deadline, workers
 * for as many invocations as there are.
 *
 * @param usdOf what an outcome costs.
 */
export function fleetFor(
  base: z.input<typeof Scenario>,
  wishes: FleetWishes,
  measurements: Measurements,
  usdOf: (outcome: Outcome) => number,
): FleetFound {
  const simulated = (settings: FleetSettings, events?: number): Outcome =>
    simulate(scenarioOf(base, settings, events), measurements);
  const first = firstFleet(base, wishes, measurements, simulated);
  if (first.isInTime === false) return first;
  const { minWorkers = 0 } = base.scaling ?? {};
  const { deadlineS = first.outcome.seconds * SLOWER_AT_MOST } = wishes;
  const settings = cheapest(first.settings, wishes, { deadlineS, minWorkers }, (each) => {
    const outcome = simulated(each, SEARCH_EVENTS);
    return { seconds: outcome.seconds, usd: usdOf(outcome) };
  });
  if (settings === first.settings) return first;
  const outcome = simulated(settings);
  // The search looked coarsely: what is late or hardly cheaper when looked at closely is no find.
  const isWorthIt = usdOf(outcome) <= usdOf(first.outcome) * (1 - WORTH_IT);
  return isWorthIt && outcome.seconds <= deadlineS ? { ...first, outcome, settings } : first;
}

function firstFleet(
  base: z.input<typeof Scenario>,
  wishes: FleetWishes,
  measurements: Measurements,
  simulated: (settings: FleetSettings) => Outcome,
): FleetFound {
  const start = Scenario.parse(base);
  const times = serviceTimes(start, measurements);
  const perInvocation = invocationRate(start, times);
  const perWorker = 1 / times.workerImageS;
  const images = Math.ceil(start.images / start.pipelines);
  const { deadlineS } = wishes;
  const leadS = leadSeconds(start, measurements);
  let rate =
    deadlineS === undefined
      ? (wishes.concurrency ?? start.functions.concurrency) * perInvocation
      : images / Math.max(deadlineS * 0.2, deadlineS - leadS);
  // Nobody reads faster than S3 answers.
  const fastest = (S3_GETS_PER_PARTITION * start.sourcePartitions) / start.pipelines;
  for (let tries = 1; ; tries++) {
    rate = Math.min(rate, fastest);
    const concurrency =
      wishes.concurrency ??
      (deadlineS === undefined
        ? start.functions.concurrency
        : clamp((FUNCTION_MARGIN * rate) / perInvocation, FEWEST_INVOCATIONS, MOST_INVOCATIONS));
    const fed = Math.min(rate * FUNCTION_MARGIN, concurrency * perInvocation);
    const maxWorkers =
      wishes.maxWorkers ??
      Math.max(start.scaling.minWorkers, clamp((WORKER_MARGIN * fed) / perWorker, 1, MOST_WORKERS));
    const growAtPacks = wishes.growAtPacks ?? DEPLOYED_SCALING.growAtPacks;
    const settings = withBacklog({ concurrency, maxWorkers, growAtPacks }, wishes);
    const outcome = simulated(settings);
    if (deadlineS === undefined) return { outcome, settings, isInTime: undefined, isHopeless: false, tries };
    const isInTime = outcome.seconds <= deadlineS;
    // Where the images would be done in time, and completing jobs takes too long, a larger fleet is of no use.
    const isFleetLate = outcome.inferredS + lastJobSeconds(start, measurements) > deadlineS;
    const isHopeless = !isInTime && (rate === fastest || !isFleetLate || leadS > deadlineS);
    const isLargest =
      (wishes.concurrency !== undefined || concurrency === MOST_INVOCATIONS) &&
      (wishes.maxWorkers !== undefined || maxWorkers === MOST_WORKERS);
    if (isInTime || isHopeless || isLargest || tries === MAX_TRIES)
      return { outcome, settings, isInTime, isHopeless, tries };
    rate *= (outcome.seconds / deadlineS) * TRY_MORE;
  }
}

/** The cheapest settings around these ones that are in time; these ones, where others are hardly cheaper. */
function cheapest(
  first: FleetSettings,
  wishes: FleetWishes,
  { deadlineS, minWorkers }: { deadlineS: number; minWorkers: number },
  reckon: (settings: FleetSettings) => { seconds: number; usd: number },
): FleetSettings {
  let best = { settings: first, usd: reckon(first).usd * (1 - WORTH_IT) };
  const consider = (change: Partial<Pick<FleetSettings, 'maxWorkers' | 'growAtPacks'>>): void => {
    const settings = withBacklog({ ...best.settings, ...change }, wishes);
    const { seconds, usd } = reckon(settings);
    if (seconds <= deadlineS && usd < best.usd) best = { settings, usd };
  };
  if (wishes.maxWorkers === undefined) {
    const least = Math.max(1, minWorkers);
    const others = new Set(
      OTHER_WORKERS.map((share) => Math.max(least, Math.ceil(first.maxWorkers * share))),
    );
    others.delete(first.maxWorkers);
    for (const maxWorkers of others) consider({ maxWorkers });
  }
  // With one worker there is nothing to grow.
  if (wishes.growAtPacks === undefined && best.settings.maxWorkers > 1)
    for (const growAtPacks of OTHER_GROW_AT_PACKS) consider({ growAtPacks });
  return best.settings;
}

function withBacklog(
  settings: Omit<FleetSettings, 'maxBacklogPacks'>,
  { maxBacklogPacks }: FleetWishes,
): FleetSettings {
  const needed = Math.max(USUAL_BACKLOG_PACKS, backlogFor(settings, settings.concurrency));
  return { ...settings, maxBacklogPacks: maxBacklogPacks ?? needed };
}

function scenarioOf(
  base: z.input<typeof Scenario>,
  { concurrency, maxWorkers, growAtPacks, maxBacklogPacks }: FleetSettings,
  events: number | undefined,
): Scenario {
  return Scenario.parse({
    ...base,
    functions: { ...base.functions, concurrency },
    scaling: { ...base.scaling, maxWorkers, growAtPacks },
    maxBacklogPacks,
    ...(events !== undefined && { granularity: { ...base.granularity, events } }),
  });
}

/** Seconds in which no image gets done: planning the first jobs, starting the first worker, completing the last job. */
function leadSeconds(scenario: Scenario, m: Measurements): number {
  const job = Math.min(scenario.images / scenario.pipelines, scenario.imagesPerJob);
  return job / m.listedPerSecond.value + m.bootS.value + m.engineLoadS.value + lastJobSeconds(scenario, m);
}

/** From the last part to the completion of its job: up to the next minute, then the job's rows. */
function lastJobSeconds({ images, pipelines, imagesPerJob }: Scenario, m: Measurements): number {
  return 60 + Math.min(images / pipelines, imagesPerJob) / m.finalizedPerSecond.value;
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, Math.ceil(value)));
}
