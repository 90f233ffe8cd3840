/** A pause between two packs is not the end of the work, and each change is a request. */
const KEPT_AFTER_WORK_MS = 60_000;
/** A request that failed is made again, but not every second. */
const AGAIN_AFTER_MS = 15_000;

/**
 * Keeps the instance of a worker from being chosen when its group shrinks, for as long as it has packs in hand and a
 * minute longer. Without it the packs would only go back to their queue; but then another worker must begin them again.
 */
export class ScaleInProtection {
  readonly #protect: (isProtected: boolean) => Promise<void>;
  readonly #now: () => number;
  #isProtected = false;
  #busyAtMs = Number.NEGATIVE_INFINITY;
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #request: Promise<void> | undefined;

  constructor(protect: (isProtected: boolean) => Promise<void>, now: () => number = () => performance.now()) {
    this.#protect = protect;
    this.#now = now;
  }

  /** To be called about once a second. */
  tick(isBusy: boolean): void {
    const nowMs = this.#now();
    if (isBusy) this.#busyAtMs = nowMs;
    const wanted = isBusy || nowMs - this.#busyAtMs < KEPT_AFTER_WORK_MS;
    if (wanted === this.#isProtected || this.#request !== undefined || nowMs < this.#notBeforeMs) return;
    this.#request = this.#protect(wanted)
      .then(() => {
        this.#isProtected = wanted;
      })
      .catch(() => {
        this.#notBeforeMs = nowMs + AGAIN_AFTER_MS;
      })
      .finally(() => {
        this.#request = undefined;
      });
  }
}
