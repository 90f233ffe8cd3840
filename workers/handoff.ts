/**
 * A bounded line between a producer and a consumer. `push` waits while the line is full, `shift` while it is
 * empty; after `close` it is emptied and then gives `undefined`.
 */
export class Handoff<T> {
  readonly #limit: number;
  readonly #items: T[] = [];
  #wake: (() => void)[] = [];
  #closed = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#items.length;
  }

  /** Closed and emptied: nothing will come any more. */
  get isOver(): boolean {
    return this.#closed && this.#items.length === 0;
  }

  async push(item: T): Promise<void> {
    while (this.#items.length >= this.#limit) await this.#changed();
    this.#items.push(item);
    this.#notify();
  }

  async shift(): Promise<T | undefined> {
    while (this.#items.length === 0 && !this.#closed) await this.#changed();
    const item = this.#items.shift();
    this.#notify();
    return item;
  }

  /** Takes the next item where it is there already and is wanted. */
  shiftIf(wanted: (item: T) => boolean): T | undefined {
    const item = this.#items[0];
    if (item === undefined || !wanted(item)) return undefined;
    this.#items.shift();
    this.#notify();
    return item;
  }

  close(): void {
    this.#closed = true;
    this.#notify();
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #notify(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const resolve of waiting) resolve();
  }
}
