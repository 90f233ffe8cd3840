import type { MessageQueue } from '#core/ports/message-queue.ts';

/** A count of waiting messages is asked for again after this. */
const FRESH_MS = 500;

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

  /** A place for one pack, to be given back once it is announced; `undefined` where there is none. */
  async reserve(): Promise<Disposable | undefined> {
    if (performance.now() - this.#countedAtMs > FRESH_MS || this.#isFull) {
      this.#counting ??= this.#count().finally(() => {
        this.#counting = undefined;
      });
      await this.#counting;
    }
    this.wasFull = this.#isFull;
    if (this.wasFull) return undefined;
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
    this.#announced -= known;
    this.#countedAtMs = performance.now();
  }

  get #isFull(): boolean {
    return this.#counted + this.#announced + this.#making >= this.#limit;
  }
}
