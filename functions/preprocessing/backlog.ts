import type { MessageQueue } from '#core/ports/message-queue.ts';

/** A count of waiting messages is asked for again after this. */
const FRESH_MS = 500;

/** Watches that no more packs wait for workers than may. */
export class Backlog {
  readonly #packs: MessageQueue;
  readonly #limit: number;
  #known = 0;
  #knownAtMs = Number.NEGATIVE_INFINITY;
  #sent = 0;

  constructor(packs: MessageQueue, limit: number) {
    this.#packs = packs;
    this.#limit = limit;
  }

  /** Whether the last answer was no. */
  wasFull = false;

  /** Whether one more pack may be made. Packs made since the last count are taken to be waiting still. */
  async hasRoom(): Promise<boolean> {
    if (performance.now() - this.#knownAtMs > FRESH_MS || this.#known + this.#sent >= this.#limit) {
      const { waiting, leased } = await this.#packs.depth();
      this.#known = waiting + leased;
      this.#knownAtMs = performance.now();
      this.#sent = 0;
    }
    this.wasFull = this.#known + this.#sent >= this.#limit;
    if (!this.wasFull) this.#sent++;
    return !this.wasFull;
  }
}
