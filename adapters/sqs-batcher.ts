import { setTimeout as sleep } from 'node:timers/promises';
import type { SluiceError } from '#core/error.ts';
import { inJobsTally } from './meter.ts';

/** SQS's own limit for one batch. */
export const MAX_BATCH_ENTRIES = 10;
const MAX_ATTEMPTS = 6;
const RETRY_AFTER_MS = 100;

/** What became of one entry of a batch: an answer by its place, `undefined` where it succeeded. */
export type EntryFailure = { readonly error: SluiceError; readonly retryable: boolean };
export type BatchCall<T> = (entries: readonly T[]) => Promise<ReadonlyMap<number, EntryFailure>>;

/**
 * Sends one batch, and those of its entries again that the service refused for the moment.
 *
 * @throws SluiceError the first failure that trying again did not or cannot mend.
 */
export async function sendBatch<T>(entries: readonly T[], call: BatchCall<T>): Promise<void> {
  let rest = entries;
  for (let attempt = 1; rest.length > 0; attempt++) {
    const failures = await call(rest);
    for (const { error, retryable } of failures.values()) {
      if (!retryable || attempt === MAX_ATTEMPTS) throw error;
    }
    rest = rest.filter((_, i) => failures.has(i));
    if (rest.length > 0) await sleep(RETRY_AFTER_MS * 2 ** attempt * Math.random());
  }
}

/**
 * Collects single calls that come close together into batches: ten acknowledgements cost one request. Each caller
 * learns what became of its own entry.
 */
export class Batcher<T> {
  readonly #call: BatchCall<T>;
  readonly #lingerMs: number;
  #waiting: { entry: T; settle: (batch: Promise<void>) => void }[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(call: BatchCall<T>, lingerMs: number) {
    this.#call = call;
    this.#lingerMs = lingerMs;
  }

  add(entry: T): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ entry, settle: resolve });
      if (this.#waiting.length >= MAX_BATCH_ENTRIES) this.#flush();
      else this.#timer ??= setTimeout(() => this.#flush(), this.#lingerMs);
    });
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const batch = this.#waiting;
    this.#waiting = [];
    const whole = inJobsTally(() =>
      sendBatch(
        batch.map(({ entry }) => entry),
        this.#call,
      ),
    );
    // One refused entry must not speak for the nine beside it.
    whole.then(
      () => {
        for (const { settle } of batch) settle(Promise.resolve());
      },
      (error: unknown) => {
        if (batch.length === 1) return batch[0]?.settle(Promise.reject(error));
        for (const { entry, settle } of batch) settle(sendBatch([entry], this.#call));
      },
    );
  }
}
