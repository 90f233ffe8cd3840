/** A time limit that can begin anew, as with every sign of progress. */
export class TimeLimit {
  readonly #ms: number;
  readonly #onOverrun: () => void;
  #timer: NodeJS.Timeout | undefined;

  /** @param onOverrun is called once the limit has passed since it last began. */
  constructor(seconds: number, onOverrun: () => void) {
    this.#ms = seconds * 1000;
    this.#onOverrun = onOverrun;
  }

  /** The limit counts from now. */
  begin(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#onOverrun, this.#ms);
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
  let onOverrun: (outcome: 'overrun') => void = () => undefined;
  const overrun = new Promise<'overrun'>((resolve) => {
    onOverrun = resolve;
  });
  const limit = new TimeLimit(seconds, () => onOverrun('overrun'));
  limit.begin();
  const result = work(() => limit.begin());
  // Ending what overran rejects what is still awaited.
  result.catch(() => undefined);
  try {
    return await Promise.race([result, overrun]);
  } finally {
    limit.end();
  }
}
