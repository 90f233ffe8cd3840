import type { EventQueue } from './event-queue.ts';
import type { Measurements } from './measurements.ts';
import type { Scenario } from './scenario.ts';
import type { ShardQueue } from './shard-queue.ts';
import type { UsageMeter } from './usage-meter.ts';

/** Jobs that are planned at the same time: the event source of `plan` in infra/. */
const PLANNED_AT_ONCE = 2;
/** `finalize` is invoked by a schedule. */
const FINALIZE_EVERY_S = 60;
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
  #next = 0;
  #completed = 0;
  /** Images of completed jobs, and those of the jobs up to the one that is next. */
  #upToNext: number;
  #isFinalizing = false;
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
    const images = this.#jobs[this.#next++];
    if (images === undefined) return;
    const seconds = images / measurements.listedPerSecond.value;
    events.in(seconds, () => {
      const count = Math.ceil(images / scenario.shardSize);
      usage.planned(images, count);
      usage.invocations(
        Math.ceil(seconds / LONGEST_INVOCATION_S),
        Math.min(seconds, LONGEST_INVOCATION_S),
        scenario.functions.bigMemoryMib,
      );
      shards.sendJob(images, scenario.shardSize);
      this.#parts.onShards();
      this.#plan();
    });
  }

  /**
   * So many images have parts: completes the next job, if all of its have. Shards are worked off in the order of jobs,
   * nearly.
   */
  inferred(images: number): void {
    this.#inferred = images;
    if (this.#isFinalizing) return;
    this.#finalize(FINALIZE_EVERY_S - (this.#parts.events.nowS % FINALIZE_EVERY_S));
  }

  #finalize(waitS: number): void {
    const { events, measurements, scenario, usage } = this.#parts;
    const images = this.#jobs[this.#completed];
    if (images === undefined || this.#inferred < this.#upToNext) return;
    this.#isFinalizing = true;
    const seconds = images / measurements.finalizedPerSecond.value;
    events.in(waitS + seconds, () => {
      usage.finalized(Math.ceil(images / scenario.packSize));
      usage.invocations(1, seconds, scenario.functions.bigMemoryMib);
      this.#isFinalizing = false;
      this.#completed++;
      this.#upToNext += this.#jobs[this.#completed] ?? 0;
      // What is ready by now, the same invocation completes.
      this.#finalize(0);
    });
  }
}
