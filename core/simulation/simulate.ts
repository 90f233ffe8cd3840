import type { Usage } from '#core/cost/bill.ts';
import { SluiceError } from '#core/error.ts';
import { ALARM_PERIOD_S } from '#core/fleet-scaling.ts';
import { EventQueue } from './event-queue.ts';
import { FunctionStage } from './functions.ts';
import { GpuFleet } from './gpu-fleet.ts';
import { JobStage } from './job-stage.ts';
import type { Measurements } from './measurements.ts';
import { Random } from './random.ts';
import { METRIC_AGE_S, Scaling } from './scaling.ts';
import { granularityOf, type Scenario } from './scenario.ts';
import { type ServiceTimes, serviceTimes } from './service-times.ts';
import { ShardQueue } from './shard-queue.ts';
import { type Sample, Timeline } from './timeline.ts';
import { UsageMeter } from './usage-meter.ts';
import { WorkQueue } from './work-queue.ts';

/**
 * What a simulated pipeline came to; where several share the work, each comes to the same. Times are in seconds from the
 * submission of the first job.
 */
export interface Outcome {
  readonly scenario: Scenario;
  readonly times: ServiceTimes;
  /** Until the last job is complete. */
  readonly seconds: number;
  /** Until the last part is written, and until no worker is left. */
  readonly inferredS: number;
  readonly fleetGoneS: number;
  readonly preprocessed: number;
  readonly inferred: number;
  readonly repeated: number;
  readonly jobs: number;
  readonly coldStarts: number;
  readonly peakInvocations: number;
  /** Shards handed back because of the backlog, and because an invocation's time was up. */
  readonly handedBack: number;
  readonly timeouts: number;
  /** Seconds of invocations lost to S3's limit. */
  readonly throttledS: number;
  readonly peakInFlightPacks: number;
  readonly launches: number;
  readonly interruptions: number;
  readonly peakWorkers: number;
  /** Worker seconds: paid, ready, at work. */
  readonly paidS: number;
  readonly readyS: number;
  readonly busyS: number;
  readonly usage: Usage;
  readonly samples: readonly Sample[];
  /** Events that were simulated. */
  readonly events: number;
}

/**
 * Runs a pipeline through a night, event by event: the same scenario, measurements and seed come to the same outcome. Of
 * several pipelines one is simulated, with its share of the images and of what S3 answers.
 *
 * @throws SluiceError `config-invalid` where the fleet would need longer than `maxDays`.
 */
export function simulate(whole: Scenario, measurements: Measurements): Outcome {
  const scenario = shareOf(whole);
  const events = new EventQueue();
  const random = new Random(scenario.seed);
  const usage = new UsageMeter();
  const times = serviceTimes(scenario, measurements);
  const granularity = granularityOf(scenario, 1 / times.workerImageS);
  const shards = new ShardQueue();
  const packs = new WorkQueue(events, scenario.packSize, scenario.inFlightLimit);
  const scaling = new Scaling(scenario.scaling);
  const common = { events, random, scenario, measurements, times, shards, packs, usage };
  const jobs = new JobStage({
    ...common,
    onShards: () => {
      fleet.scaleTo(scaling.woken(fleet.wanted));
      functions.wake();
    },
  });
  const functions: FunctionStage = new FunctionStage({ ...common, granularity, onPacks: () => fleet.wake() });
  let inferredS = 0;
  const fleet: GpuFleet = new GpuFleet({
    ...common,
    lotS: granularity.lotS,
    onParts: () => {
      jobs.inferred(fleet.inferred);
      if (fleet.inferred === scenario.images) inferredS = events.nowS;
    },
  });
  const usedSoFar = (): Usage =>
    usage.at(events.nowS, {
      workerSeconds: fleet.paid.area(events.nowS),
      packByteSeconds: packs.imageSeconds * times.tensorBytes,
    });

  const backlogNow = (): number => packs.backlogPacks - fleet.doneInHand / scenario.packSize;
  const timeline = new Timeline();
  const sample = (): void => {
    const { nowS } = events;
    timeline.add({
      atS: nowS,
      backlogPacks: backlogNow(),
      shards: shards.count,
      invocations: functions.running.value,
      workers: fleet.paid.value,
      ready: fleet.ready.value,
      inferred: fleet.inferred,
      preprocessed: functions.preprocessed,
      readySeconds: fleet.ready.area(nowS),
      busySeconds: fleet.busy.area(nowS),
      usage: usedSoFar(),
    });
  };
  const sampleForever = (): void => {
    sample();
    events.in(timeline.intervalS, sampleForever);
  };
  const scaleForever = (): void => {
    const backlogPacks = backlogNow();
    const openWork = backlogPacks + shards.count + functions.delayed + functions.running.value;
    const look = { packs: backlogPacks, openWork, wanted: fleet.wanted, workers: fleet.paid.value };
    events.in(METRIC_AGE_S, () =>
      fleet.scaleTo(
        scaling.decide(look, { wanted: fleet.wanted, warm: fleet.olderThan(scenario.scaling.warmUpS) }),
      ),
    );
    events.in(ALARM_PERIOD_S, scaleForever);
  };

  fleet.scaleTo(scenario.scaling.minWorkers);
  sampleForever();
  scaleForever();
  jobs.start();
  let seconds = 0;
  const isOver = (): boolean => {
    if (!jobs.isComplete) return false;
    if (seconds === 0) seconds = events.nowS;
    return fleet.paid.value <= scenario.scaling.minWorkers;
  };
  while (!isOver() && events.next()) {
    if (events.nowS > scenario.maxDays * 86_400) {
      throw new SluiceError(
        'config-invalid',
        `this fleet has ${fleet.inferred.toLocaleString('en-US')} of ${scenario.images.toLocaleString('en-US')} images ` +
          `done after ${scenario.maxDays} days: allow more invocations (--concurrency) or workers (--max-workers)`,
      );
    }
  }
  sample();
  const { nowS } = events;
  return {
    scenario: whole,
    times,
    seconds,
    inferredS,
    fleetGoneS: nowS,
    preprocessed: functions.preprocessed,
    inferred: fleet.inferred,
    repeated: fleet.repeated,
    jobs: jobs.count,
    coldStarts: functions.coldStarts,
    peakInvocations: functions.running.peak,
    handedBack: functions.handedBack,
    timeouts: functions.timeouts,
    throttledS: functions.throttledS,
    peakInFlightPacks: packs.peakInFlightPacks,
    launches: fleet.launches,
    interruptions: fleet.interruptions,
    peakWorkers: fleet.paid.peak,
    paidS: fleet.paid.area(nowS),
    readyS: fleet.ready.area(nowS),
    busyS: fleet.busy.area(nowS),
    usage: usedSoFar(),
    samples: timeline.samples(),
    events: events.count,
  };
}

/** Of one pipeline. S3 answers all of them. */
function shareOf(scenario: Scenario): Scenario {
  const { images, sourcePartitions, pipelines } = scenario;
  return {
    ...scenario,
    images: Math.ceil(images / pipelines),
    sourcePartitions: sourcePartitions / pipelines,
  };
}
