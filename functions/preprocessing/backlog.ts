import type { MessageQueue } from '#core/ports/message-queue.ts';

/** A count of waiting messages is asked for again after this. */
const FRESH_MS = 500;

/** SQS delays a message no longer. */
const MAX_DELAY_MS = 900_000;

/**
 * How long a shard waits that was handed back `times` times in turn while no worker ran: each time twice as long, since
 * a stopped fleet must not be asked for all night.
 */
export function delayWhileStoppedMs(times: number, firstMs: number): number {
  return Math.min(MAX_DELAY_MS, firstMs * 2 ** times);
}

/** Sees to it that no more packs wait for workers than may: each pack takes a place before it is made. */
export class Backlog {
  readonly #packs: MessageQueue;
  readonly #limit: number;
  /** Packs in the queue when it was last asked; those announced since then; those that are being made. */
  #counted = 0;
  #announced = 0;
  #making = 0;
  #countedAtMs = Number.NEGATIVE_INFINITY;
  #counting: Promise<void> | undefined;

  constructor(packs: MessageQueue, limit: number) {
    this.#packs = packs;
    this.#limit = limit;
  }

  /** Whether the last answer was no. */
  wasFull = false;

  /** Whether no worker had a pack in hand when the queue was last asked: then a full backlog stays full. */
  isStopped = false;

  /** Whether there is a place for one more pack. */
  async hasRoom(): Promise<boolean> {
    if (performance.now() - this.#countedAtMs > FRESH_MS || this.#isFull) {
      this.#counting ??= this.#count().finally(() => {
        this.#counting = undefined;
      });
      await this.#counting;
    }
    this.wasFull = this.#isFull;
    return !this.wasFull;
  }

  /** A place for one pack, to be given back once it is announced; `undefined` where there is none. */
  async reserve(): Promise<Disposable | undefined> {
    if (!(await this.hasRoom())) return undefined;
    this.#making++;
    return {
      [Symbol.dispose]: () => {
        this.#making--;
        this.#announced++;
      },
    };
  }

  async #count(): Promise<void> {
    // What is announced while the answer is on its way may not be in it.
    const known = this.#announced;
    const { waiting, leased } = await this.#packs.depth();
    this.#counted = waiting + leased;
    this.isStopped = leased === 0;
    this.#announced -= known;
    this.#countedAtMs = performance.now();
  }

  get #isFull(): boolean {
    return this.#counted + this.#announced + this.#making >= this.#limit;
  }
}
