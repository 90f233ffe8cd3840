import type { EventQueue } from './event-queue.ts';
import type { Measurements } from './measurements.ts';
import type { Scenario } from './scenario.ts';
import type { ShardQueue } from './shard-queue.ts';
import type { UsageMeter } from './usage-meter.ts';

/** Jobs that are planned at the same time: the event source of `plan` in infra/. */
const PLANNED_AT_ONCE = 2;
/** Lambda's longest invocation; planning goes on in the next one, finalizing does not. */
export const LONGEST_INVOCATION_S = 900;

export interface JobStageParts {
  readonly events: EventQueue;
  readonly scenario: Scenario;
  readonly measurements: Measurements;
  readonly shards: ShardQueue;
  readonly usage: UsageMeter;
  /** Shards were sent. */
  onShards(): void;
}

/** Both ends of the pipeline: `plan` lists the source job by job, `finalize` completes one job after the other. */
export class JobStage {
  readonly #parts: JobStageParts;
  /** Images of each job. */
  readonly #jobs: readonly number[];
  #planned = 0;
  /** When each of them was planned. */
  readonly #plannedS: number[] = [];
  #isFinalizing = false;
  /** The job that is finalized next, and the images of all up to it. */
  #next = 0;
  #upToNext: number;
  #completed = 0;
  #inferred = 0;

  constructor(parts: JobStageParts) {
    this.#parts = parts;
    const { images, imagesPerJob } = parts.scenario;
    const count = Math.ceil(images / imagesPerJob);
    this.#jobs = Array.from({ length: count }, (_, i) => Math.min(imagesPerJob, images - i * imagesPerJob));
    this.#upToNext = this.#jobs[0] ?? 0;
  }

  get count(): number {
    return this.#jobs.length;
  }

  get isComplete(): boolean {
    return this.#completed === this.#jobs.length;
  }

  start(): void {
    for (let i = 0; i < PLANNED_AT_ONCE; i++) this.#plan();
  }

  #plan(): void {
    const { events, measurements, scenario, shards, usage } = this.#parts;
    const job = this.#planned++;
    const images = this.#jobs[job];
    if (images === undefined) return;
    const seconds = measurements.planningMs.value / 1000 + images / measurements.listedPerSecond.value;
    events.in(seconds, () => {
      this.#plannedS[job] = events.nowS;
      usage.planned(images, Math.ceil(images / scenario.shardSize));
      const invocations = Math.ceil(seconds / LONGEST_INVOCATION_S);
      usage.invocations(invocations, seconds / invocations, scenario.functions.bigMemoryMib);
      shards.sendJob(images, scenario.shardSize);
      this.#parts.onShards();
      this.#plan();
    });
  }

  /**
   * So many images have parts: completes the next jobs, if all of theirs have. Shards are worked off in the order of
   * jobs, nearly.
   */
  inferred(images: number): void {
    this.#inferred = images;
    const { events, scenario } = this.#parts;
    const { finalizeEveryS } = scenario.functions;
    this.#finalize(finalizeEveryS - (events.nowS % finalizeEveryS));
  }

  #finalize(waitS: number): void {
    const { events, measurements, scenario, usage } = this.#parts;
    const images = this.#jobs[this.#next];
    if (images === undefined || this.#isFinalizing || this.#inferred < this.#upToNext) return;
    this.#isFinalizing = true;
    const job = this.#next++;
    this.#upToNext += this.#jobs[this.#next] ?? 0;
    const seconds = measurements.completionMs.value / 1000 + images / measurements.finalizedPerSecond.value;
    const openS = events.nowS + waitS - (this.#plannedS[job] ?? 0);
    const looks = Math.max(1, Math.ceil(openS / scenario.functions.finalizeEveryS));
    events.in(waitS + seconds, () => {
      usage.finalized(Math.ceil(images / scenario.packSize), looks);
      usage.invocations(1, seconds, scenario.functions.bigMemoryMib);
      this.#isFinalizing = false;
      this.#completed++;
      // What is ready by now, the same invocation completes.
      this.#finalize(0);
    });
  }
}
