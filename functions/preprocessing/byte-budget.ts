/**
 * Bounds the bytes that are in flight at once. A single taker larger than the whole budget is let through
 * alone, so nothing waits for ever.
 */
export class ByteBudget {
  readonly #maxBytes: number;
  readonly #waiting: { bytes: number; admit: () => void }[] = [];
  #usedBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Waits, first come first served, until the bytes fit; call the answer to give them back. */
  async take(bytes: number): Promise<() => void> {
    if (this.#waiting.length > 0 || !this.#fits(bytes)) {
      await new Promise<void>((admit) => this.#waiting.push({ bytes, admit }));
    } else {
      this.#usedBytes += bytes;
    }
    return () => {
      this.#usedBytes -= bytes;
      for (
        let next = this.#waiting[0];
        next !== undefined && this.#fits(next.bytes);
        next = this.#waiting[0]
      ) {
        this.#waiting.shift();
        this.#usedBytes += next.bytes;
        next.admit();
      }
    };
  }

  #fits(bytes: number): boolean {
    return this.#usedBytes === 0 || this.#usedBytes + bytes <= this.#maxBytes;
  }
}
