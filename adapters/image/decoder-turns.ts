/** One decoding that is under way. */
interface Turn {
  /** Since it began, no other one was under way. */
  wasAlone: boolean;
  readonly ended: Promise<void>;
}

/**
 * Decodings at the same time in one process, each of which fails with its own words. libvips has one buffer of error messages for the whole
 * process and sharp one queue of warnings: of two decodings at the same time one may fail with what was said of the other, or with nothing.
 * So one that fails in company is done again while no other is under way. Good images pay nothing for it.
 */
export class DecoderTurns {
  readonly #running = new Set<Turn>();
  /** Ends with the last of those that are alone, or wait to be. */
  #alone: Promise<void> = Promise.resolve();

  /** @param work may be done twice. What it throws when nothing else is under way is what this throws. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    await this.#noneAlone();
    const [ended, end] = ending();
    const turn: Turn = { wasAlone: this.#running.size === 0, ended };
    for (const other of this.#running) other.wasAlone = false;
    this.#running.add(turn);
    try {
      return await work();
    } catch (error) {
      if (turn.wasAlone) throw error;
    } finally {
      this.#running.delete(turn);
      end();
    }
    return this.#runAlone(work);
  }

  async #runAlone<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#alone;
    const [ended, end] = ending();
    // From here on nobody begins; those that have begun come to their end.
    this.#alone = ended;
    await before;
    await Promise.all([...this.#running].map((turn) => turn.ended));
    try {
      return await work();
    } finally {
      end();
    }
  }

  async #noneAlone(): Promise<void> {
    for (let last: Promise<void> | undefined; last !== this.#alone; ) {
      last = this.#alone;
      await last;
    }
  }
}

function ending(): [ended: Promise<void>, end: () => void] {
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  return [ended, end];
}
