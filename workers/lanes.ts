import type { FeedMeter } from './feed-meter.ts';
import type { LoadedPack, PackLane } from './pack-lane.ts';

/** Every so many batches one begins with the bulk lane, however much is live: a backfill may be slow, not stand still. */
const BULK_FIRST_EVERY = 4;

export interface BatchOptions {
  /** Packs are merged up to so many images. A larger pack runs alone. */
  readonly batchSize: number;
  /** How long the first pack of a batch waits for more. */
  readonly maxWaitMs: number;
}

/**
 * Takes batches of packs from the lanes: the live lane's first, filled up with those of the bulk lane.
 */
export class Lanes {
  readonly #lanes: readonly PackLane[];
  readonly #options: BatchOptions;
  readonly #meter: FeedMeter;
  #batches = 0;
  #changed: (() => void)[] = [];

  /** @param lanes in the order of their rank. */
  constructor(lanes: readonly PackLane[], options: BatchOptions, meter: FeedMeter) {
    this.#lanes = lanes;
    this.#options = options;
    this.#meter = meter;
  }

  /** Tells that a lane has something new. */
  notify(): void {
    const waiting = this.#changed;
    this.#changed = [];
    for (const resolve of waiting) resolve();
  }

  /** The next batch, at least one pack; `undefined` once all lanes are over. */
  async next(): Promise<LoadedPack[] | undefined> {
    const lanes = this.#ranked();
    let first = take(lanes, () => true);
    while (first === undefined) {
      if (this.#lanes.every((lane) => lane.ready.isOver)) return undefined;
      this.#meter.enter(this.#lanes.some((lane) => lane.isFetching) ? 'fetch' : 'message');
      await this.#change();
      first = take(lanes, () => true);
    }
    this.#batches++;
    return this.#fill(first, lanes);
  }

  async #fill(first: LoadedPack, lanes: readonly PackLane[]): Promise<LoadedPack[]> {
    const { batchSize, maxWaitMs } = this.#options;
    const batch = [first];
    let images = first.pack.header.items.length;
    const fits = (next: LoadedPack): boolean => images + next.pack.header.items.length <= batchSize;
    const deadline = performance.now() + maxWaitMs;
    for (;;) {
      for (let next = take(lanes, fits); next !== undefined; next = take(lanes, fits)) {
        batch.push(next);
        images += next.pack.header.items.length;
      }
      const waitMs = deadline - performance.now();
      // What is ready and does not fit will not fit later either.
      const full = images >= batchSize || lanes.some((lane) => lane.ready.size > 0);
      if (full || waitMs <= 0 || lanes.every((lane) => !lane.isFetching)) return batch;
      this.#meter.enter('fetch');
      await this.#change(waitMs);
    }
  }

  #ranked(): readonly PackLane[] {
    return this.#batches % BULK_FIRST_EVERY === BULK_FIRST_EVERY - 1 ? this.#lanes.toReversed() : this.#lanes;
  }

  async #change(withinMs?: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#changed.push(resolve);
      if (withinMs !== undefined) timer = setTimeout(resolve, withinMs);
    });
    clearTimeout(timer);
  }
}

function take(lanes: readonly PackLane[], fits: (next: LoadedPack) => boolean): LoadedPack | undefined {
  for (const lane of lanes) {
    const loaded = lane.ready.shiftIf(fits);
    if (loaded !== undefined) {
      lane.release();
      return loaded;
    }
  }
  return undefined;
}
