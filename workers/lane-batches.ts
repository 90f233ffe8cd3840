import type { FeedMeter } from './feed-meter.ts';
import type { LoadedPack, PackLane } from './pack-lane.ts';

export interface BatchOptions {
  /** Packs are merged up to so many images. A larger pack runs alone. */
  readonly batchSize: number;
  /** How long the first pack of a batch waits for more. */
  readonly maxWaitMs: number;
}

/** Takes batches of the packs of one stage from a lane. */
export class LaneBatches {
  readonly #lane: PackLane;
  readonly #stage: string;
  /** What the meter knows the waiting of the stage by. */
  readonly #name: string;
  readonly #options: BatchOptions;
  readonly #meter: FeedMeter;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(lane: PackLane, stage: string, options: BatchOptions, meter: FeedMeter) {
    this.#lane = lane;
    this.#stage = stage;
    this.#name = `${lane.name} ${stage}`;
    this.#options = options;
    this.#meter = meter;
  }

  /**
   * The next batch, at least one pack; `undefined` once the lane is over. Who asks while another one's batch is being
   * filled comes after it: two at a time would halve each other's batches.
   */
  next(): Promise<LoadedPack[] | undefined> {
    const batch = this.#turn.then(() => this.#next());
    this.#turn = batch.catch(() => undefined);
    return batch;
  }

  async #next(): Promise<LoadedPack[] | undefined> {
    const lane = this.#lane;
    let first = this.#take(() => true);
    while (first === undefined) {
      if (lane.isOver(this.#stage)) return undefined;
      this.#meter.enter(this.#name, lane.isFetching(this.#stage) ? 'fetch' : 'message');
      await lane.changed();
      first = this.#take(() => true);
    }
    const batch = await this.#fill(first);
    // Until somebody asks again, the lane waits for nothing.
    this.#meter.enter(this.#name, 'message');
    return batch;
  }

  async #fill(first: LoadedPack): Promise<LoadedPack[]> {
    const { batchSize, maxWaitMs } = this.#options;
    const lane = this.#lane;
    const batch = [first];
    let images = first.pack.header.items.length;
    const fits = (next: LoadedPack): boolean => images + next.pack.header.items.length <= batchSize;
    const deadline = performance.now() + maxWaitMs;
    for (;;) {
      for (let next = this.#take(fits); next !== undefined; next = this.#take(fits)) {
        batch.push(next);
        images += next.pack.header.items.length;
      }
      const waitMs = deadline - performance.now();
      // What is ready and does not fit will not fit later either; without more on their way there is nothing to wait for.
      if (
        images >= batchSize ||
        lane.readyOf(this.#stage) > 0 ||
        !lane.isFetching(this.#stage) ||
        waitMs <= 0
      )
        return batch;
      this.#meter.enter(this.#name, 'fetch');
      await lane.changed(waitMs);
    }
  }

  #take(fits: (next: LoadedPack) => boolean): LoadedPack | undefined {
    return this.#lane.take(this.#stage, fits);
  }
}
