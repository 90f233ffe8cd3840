/** A time limit that begins anew with every sign of progress. */
export class TimeLimit {
  /** Fulfilled once the limit has passed without a sign of progress. */
  readonly overrun: Promise<'overrun'>;
  readonly #ms: number;
  #timer: NodeJS.Timeout | undefined;
  #overran!: (outcome: 'overrun') => void;

  constructor(seconds: number) {
    this.#ms = seconds * 1000;
    this.overrun = new Promise((resolve) => {
      this.#overran = resolve;
    });
    this.begin();
  }

  /** The limit counts from now. */
  begin(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#overran('overrun'), this.#ms);
  }

  /** Nothing is waited for any more. */
  end(): void {
    clearTimeout(this.#timer);
  }
}

/** What the work comes to, or `overrun` where it takes longer. @param work is handed what begins the limit anew. */
export async function within<T>(
  seconds: number,
  work: (progress: () => void) => Promise<T>,
): Promise<T | 'overrun'> {
  const limit = new TimeLimit(seconds);
  const result = work(() => limit.begin());
  // Ending what overran rejects what is still awaited.
  result.catch(() => undefined);
  try {
    return await Promise.race([result, limit.overrun]);
  } finally {
    limit.end();
  }
}
