/** Something that others wait for to change: a condition variable. */
export class Condition {
  readonly #waiting = new Set<() => void>();

  /** Waits for the next `notifyAll`; at most so many milliseconds, and not beyond `signal`, where they are given. */
  wait({
    withinMs,
    signal,
  }: {
    withinMs?: number | undefined;
    signal?: AbortSignal | undefined;
  } = {}): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', end);
        this.#waiting.delete(end);
        resolve();
      };
      const timer = withinMs === undefined ? undefined : setTimeout(end, withinMs);
      signal?.addEventListener('abort', end);
      this.#waiting.add(end);
      if (signal?.aborted) end();
    });
  }

  notifyAll(): void {
    for (const end of [...this.#waiting]) end();
  }
}
