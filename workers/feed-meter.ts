/** What the model's thread is kept from work by, or that it works. */
export const FEED_STATES = ['run', 'message', 'fetch', 'commit'] as const;
export type FeedState = (typeof FEED_STATES)[number];

/** Milliseconds by state. `run`: the model runs. The others: it waits for a message, for a pack to be fetched, for commits. */
export type FeedTimes = Readonly<Record<FeedState, number>>;

/** Sums up what the inference loop's time goes into. Every moment belongs to exactly one state. */
export class FeedMeter {
  readonly #now: () => number;
  readonly #times: Record<FeedState, number> = { run: 0, message: 0, fetch: 0, commit: 0 };
  #state: FeedState = 'message';
  #sinceMs: number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#sinceMs = now();
  }

  /** Whether there is nothing to do. */
  get isWaiting(): boolean {
    return this.#state === 'message';
  }

  enter(state: FeedState): void {
    this.#settle();
    this.#state = state;
  }

  /** The times since the last call. */
  take(): FeedTimes {
    this.#settle();
    const times = { ...this.#times };
    for (const state of FEED_STATES) this.#times[state] = 0;
    return times;
  }

  #settle(): void {
    const now = this.#now();
    this.#times[this.#state] += now - this.#sinceMs;
    this.#sinceMs = now;
  }
}
