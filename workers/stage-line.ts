import type { Tally } from '#adapters/meter.ts';
import type { PackMessage } from '#core/messages.ts';
import type { Lease } from '#core/ports/message-queue.ts';
import type { LoadedPack } from './pack-lane.ts';

/** A message that has been received. */
export interface Delivery {
  readonly lease: Lease;
  readonly message: PackMessage;
  /** What the delivery consumes. */
  readonly tally: Tally;
}

/** The packs of one stage in a lane. */
export class StageLine {
  readonly ready: LoadedPack[] = [];
  /** Of how many nothing is here but the message. */
  waiting = 0;
  /** How many are on their way from the store. */
  loading = 0;

  /** How many have room in memory, or will. */
  get loaded(): number {
    return this.loading + this.ready.length;
  }
}

export interface RoomOptions {
  /** Packs that are loading or ready at the same time, of one stage or of all together. */
  readonly prefetchPacks: number;
  /** Whether the engine of a stage was lost, and has not come back from a run since. */
  isLost(stage: string): boolean;
}

/**
 * A stage that has lost its engine takes a few time limits more to be done with it, and every pack of it that waits until
 * then is one message of a kilobyte, whose lease is kept.
 */
const MAX_WAITING_FOR_LOST = 1000;

/**
 * How many packs a lane may hold. Each stage may have one in memory, whatever the others do, and all of them share the
 * rest of `prefetchPacks`: a stage that gets nowhere cannot take the room of the others. With more than one stage some
 * messages are held beyond that, without their packs, since a queue cannot be asked for the packs of one stage; of a stage
 * that has lost its engine, as many as it takes to come to those of the others, for as long as it has none.
 *
 * A lane of one stage holds `prefetchPacks`, and no message without its pack.
 */
export class LaneRoom {
  readonly #options: RoomOptions;
  readonly #lines: ReadonlyMap<string, StageLine>;

  constructor(options: RoomOptions, lines: ReadonlyMap<string, StageLine>) {
    this.#options = options;
    this.#lines = lines;
  }

  /** How many messages more the lane may receive. */
  get messages(): number {
    const { prefetchPacks, isLost } = this.#options;
    const others = this.#lines.size - 1;
    let held = 0;
    for (const [stage, { loaded, waiting }] of this.#lines) {
      const free = others > 0 && isLost(stage) ? MAX_WAITING_FOR_LOST : 0;
      held += loaded + Math.max(0, waiting - free);
    }
    return Math.max(0, prefetchPacks + others + (others > 0 ? prefetchPacks : 0) - held);
  }

  /** How many messages of a stage are held that are so for no reason any more. */
  surplusOf(stage: string, { waiting }: StageLine): number {
    const { prefetchPacks, isLost } = this.#options;
    return isLost(stage) ? 0 : Math.max(0, waiting - prefetchPacks);
  }

  /** Whether one more pack of the stage may be loaded. */
  mayLoad({ loaded }: StageLine): boolean {
    if (loaded === 0) return true;
    let shared = 0;
    for (const line of this.#lines.values()) shared += Math.max(0, line.loaded - 1);
    return shared < this.#options.prefetchPacks - 1;
  }
}
