/** How long a stage with so many servers was at work: the time that its calls took, at most `servers` of them at once. */
export class StageClock {
  readonly #servers: number;
  #inFlight = 0;
  #busyMs = 0;
  #sinceMs = 0;

  constructor(servers: number) {
    this.#servers = servers;
  }

  /** Milliseconds of servers since the last {@link restart}. */
  get busyMs(): number {
    this.#reckon();
    return this.#busyMs;
  }

  restart(): void {
    this.#reckon();
    this.#busyMs = 0;
  }

  async measure<T>(call: () => Promise<T>): Promise<T> {
    this.#reckon();
    this.#inFlight++;
    try {
      return await call();
    } finally {
      this.#reckon();
      this.#inFlight--;
    }
  }

  #reckon(): void {
    const nowMs = performance.now();
    this.#busyMs += Math.min(this.#inFlight, this.#servers) * (nowMs - this.#sinceMs);
    this.#sinceMs = nowMs;
  }
}
