/** What the model is kept from work by, or that it works. The order is that of {@link FeedMeter}. */
export const FEED_STATES = ['run', 'commit', 'fetch', 'message'] as const;
export type FeedState = (typeof FEED_STATES)[number];

/** Milliseconds by state. `run`: the model runs. The others: it waits for commits, for a pack to be fetched, for a message. */
export type FeedTimes = Readonly<Record<FeedState, number>>;

/**
 * Sums up what the model's time goes into. Every moment belongs to exactly one state: of the lanes' states the first in
 * the order of {@link FEED_STATES}, since a model that runs for one lane does not wait for another.
 */
export class FeedMeter {
  readonly #now: () => number;
  /** Since the beginning. */
  readonly #times: Record<FeedState, number> = { run: 0, commit: 0, fetch: 0, message: 0 };
  readonly #lanes = new Map<string, FeedState>();
  #sinceMs: number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#sinceMs = now();
  }

  /** Whether there is nothing to do. */
  get isWaiting(): boolean {
    return this.#state === 'message';
  }

  enter(lane: string, state: FeedState): void {
    this.#settle();
    this.#lanes.set(lane, state);
  }

  /** The times since the last call. */
  readonly take = this.reader();

  /** What gives the times since its own last call, whoever else reads them. */
  reader(): () => FeedTimes {
    let before: FeedTimes = { run: 0, commit: 0, fetch: 0, message: 0 };
    return () => {
      this.#settle();
      const now = { ...this.#times };
      const times = { ...now };
      for (const state of FEED_STATES) times[state] -= before[state];
      before = now;
      return times;
    };
  }

  get #state(): FeedState {
    const states = [...this.#lanes.values()];
    return FEED_STATES.find((state) => states.includes(state)) ?? 'message';
  }

  #settle(): void {
    const now = this.#now();
    this.#times[this.#state] += now - this.#sinceMs;
    this.#sinceMs = now;
  }
}
