/** Buffers end on whole steps, so that one fits packs whose headers differ by some bytes. */
const STEP_BYTES = 64 * 1024;
/** A much larger buffer than asked for would be missing where it is needed. */
const MAX_EXCESS = 2;

/**
 * Memory for packs and batches that goes round instead of being given up: the system hands out fresh memory page by
 * page, at its first use, and that takes longer than filling it from the network (`npm run bench -- transport`).
 *
 * What is given must not be touched any more by whoever gave it.
 */
export class RecycledMemory {
  readonly #maxIdleBytes: number;
  /** Oldest first. */
  #idle: ArrayBuffer[] = [];
  #idleBytes = 0;

  /** @param maxIdleBytes memory beyond this is given up. */
  constructor(maxIdleBytes = 256 * 1024 * 1024) {
    this.#maxIdleBytes = maxIdleBytes;
  }

  /** A buffer of so many bytes, of any content, in an ArrayBuffer of its own that can be handed to another thread. */
  take(bytes: number): Buffer {
    let best: ArrayBuffer | undefined;
    for (const one of this.#idle) {
      const fits = one.byteLength >= bytes && one.byteLength <= MAX_EXCESS * bytes + STEP_BYTES;
      if (fits && (best === undefined || one.byteLength < best.byteLength)) best = one;
    }
    if (best === undefined) {
      const wholeSteps = Math.ceil(Math.max(1, bytes) / STEP_BYTES) * STEP_BYTES;
      return Buffer.allocUnsafeSlow(wholeSteps).subarray(0, bytes);
    }
    this.#idle.splice(this.#idle.indexOf(best), 1);
    this.#idleBytes -= best.byteLength;
    return Buffer.from(best, 0, bytes);
  }

  /** Takes memory back, whole. One that has gone to another thread is empty here, and ignored. */
  give(memory: ArrayBuffer): void {
    if (memory.byteLength === 0 || memory.byteLength > this.#maxIdleBytes || this.#idle.includes(memory))
      return;
    this.#idle.push(memory);
    this.#idleBytes += memory.byteLength;
    while (this.#idleBytes > this.#maxIdleBytes) this.#idleBytes -= this.#idle.shift()?.byteLength ?? 0;
  }
}
