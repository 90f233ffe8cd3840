import type { EventQueue } from './event-queue.ts';
import { Level } from './level.ts';
import type { Measurements } from './measurements.ts';
import type { Random } from './random.ts';
import type { Scenario } from './scenario.ts';
import { invocationRate, type ServiceTimes } from './service-times.ts';
import type { ShardQueue } from './shard-queue.ts';
import type { UsageMeter } from './usage-meter.ts';
import type { WorkQueue } from './work-queue.ts';

/** S3 answers so many GETs a second from one partition of a bucket: "Best practices design patterns" in the S3 guide. */
export const S3_GETS_PER_PARTITION = 5500;
/** As functions/preprocessing/preprocess-shard.ts has them. */
const MIN_TIME_FOR_RANGE_S = 15;
const TIME_SAFETY = 1.5;
const RAMP_LOOK_S = 1;

export interface FunctionStageParts {
  readonly events: EventQueue;
  readonly random: Random;
  readonly scenario: Scenario;
  readonly measurements: Measurements;
  readonly times: ServiceTimes;
  readonly granularity: { readonly cohort: number; readonly packsPerStep: number };
  readonly shards: ShardQueue;
  readonly packs: WorkQueue;
  readonly usage: UsageMeter;
  /** Packs were announced. */
  onPacks(): void;
}

/** Invocations that began together and go in step: their packs come at the mean of their times. */
interface Cohort {
  readonly count: number;
  readonly beganS: number;
  /** Of each. */
  imagesLeft: number;
  longestStepS: number;
}

/** The `preprocess` function: shards in, packs out. */
export class FunctionStage {
  readonly #parts: FunctionStageParts;
  readonly #imagesPerSecond: number;
  readonly running = new Level();
  /** Environments that have been started: an invocation beyond them starts cold. */
  #environments = 0;
  #activeSinceS: number | undefined;
  #isLookingAgain = false;
  /** Images in packs so far. */
  preprocessed = 0;
  coldStarts = 0;
  handedBack = 0;
  /** Shards that were handed back, and are not in the queue yet. */
  delayed = 0;
  /** Seconds of invocations that S3 took by answering "slow down", and that a full backlog kept shards back. */
  throttledS = 0;
  #timeouts = 0;

  constructor(parts: FunctionStageParts) {
    this.#parts = parts;
    this.#imagesPerSecond = invocationRate(parts.scenario, parts.times);
  }

  /** Shards that were handed back because the time-out of the function was near. */
  get timeouts(): number {
    return this.#timeouts;
  }

  /** Begins as many invocations as there are shards and as Lambda allows. */
  wake(): void {
    const { events, shards, granularity } = this.#parts;
    if (shards.count === 0) {
      if (this.running.value === 0) this.#activeSinceS = undefined;
      return;
    }
    this.#activeSinceS ??= events.nowS;
    for (;;) {
      const free = this.#allowed() - this.running.value;
      const taken = shards.receive(Math.min(granularity.cohort, free));
      if (taken === undefined) break;
      this.#begin(taken);
    }
    if (shards.count > 0 && this.#allowed() < this.#parts.scenario.functions.concurrency) this.#lookAgain();
  }

  #allowed(): number {
    const { functions } = this.#parts.scenario;
    const { concurrency, firstInvocations, addedPerMinute } = functions;
    const activeS = this.#parts.events.nowS - (this.#activeSinceS ?? this.#parts.events.nowS);
    const ramp = firstInvocations + Math.floor((addedPerMinute * activeS) / 60);
    return Math.min(concurrency, ramp);
  }

  #lookAgain(): void {
    if (this.#isLookingAgain) return;
    this.#isLookingAgain = true;
    this.#parts.events.in(RAMP_LOOK_S, () => {
      this.#isLookingAgain = false;
      this.wake();
    });
  }

  #begin({ images, count }: { images: number; count: number }): void {
    const { events, measurements } = this.#parts;
    this.running.add(count, events.nowS);
    const cold = Math.max(0, this.running.value - this.#environments);
    this.#environments += cold;
    this.coldStarts += cold;
    const startMs = measurements.invocationMs.value + (cold / count) * measurements.coldStartMs.value;
    const cohort: Cohort = { count, beganS: events.nowS, imagesLeft: images, longestStepS: 0 };
    events.in(startMs / 1000, () => this.#step(cohort));
  }

  #step(cohort: Cohort): void {
    const { events, scenario, granularity, packs, usage, shards } = this.#parts;
    const { functions, packSize } = scenario;
    const leftS = functions.timeoutS - (events.nowS - cohort.beganS);
    const isFull = packs.backlogPacks >= scenario.maxBacklogPacks;
    if (isFull || leftS < Math.max(MIN_TIME_FOR_RANGE_S, cohort.longestStepS * TIME_SAFETY)) {
      usage.handedBack(cohort.count);
      if (isFull) this.handedBack += cohort.count;
      else this.#timeouts += cohort.count;
      this.delayed += cohort.count;
      events.in(isFull ? functions.handedBackS : 0, () => {
        this.delayed -= cohort.count;
        shards.send(cohort.imagesLeft, cohort.count);
        this.wake();
      });
      this.#end(cohort);
      return;
    }
    const images = Math.min(cohort.imagesLeft, granularity.packsPerStep * packSize);
    const seconds = this.#stepSeconds(images, cohort.count);
    cohort.longestStepS = Math.max(cohort.longestStepS, seconds);
    events.in(seconds, () => {
      const made = images * cohort.count;
      cohort.imagesLeft -= images;
      this.preprocessed += made;
      usage.preprocessed(made, Math.ceil(images / packSize) * cohort.count);
      packs.send(made);
      this.#parts.onPacks();
      if (cohort.imagesLeft > 0) this.#step(cohort);
      else this.#end(cohort);
    });
  }

  #stepSeconds(images: number, invocations: number): number {
    const { random, scenario, times, measurements } = this.#parts;
    const packs = images / scenario.packSize;
    const undisturbedS = images * times.invocationImageS + Math.ceil(packs) * times.invocationPackS;
    // Beyond what S3 answers, all invocations wait alike.
    const wanted = this.running.value * this.#imagesPerSecond;
    const throttle = Math.max(1, wanted / (S3_GETS_PER_PARTITION * scenario.sourcePartitions));
    // The mean of n independent times deviates by 1/√n of what one does: of packs on end, and of invocations abreast.
    const deviation = measurements.packDeviation.value / Math.sqrt(Math.max(1, packs) * invocations);
    const seconds = undisturbedS * throttle * random.factor(deviation);
    this.throttledS += (seconds - seconds / throttle) * invocations;
    return seconds;
  }

  #end(cohort: Cohort): void {
    const { events, usage, scenario } = this.#parts;
    usage.invocations(cohort.count, events.nowS - cohort.beganS, scenario.functions.memoryMib);
    this.running.add(-cohort.count, events.nowS);
    this.wake();
  }
}
