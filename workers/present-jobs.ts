/** A job whose last pack is older than this is taken to be over, or held. */
const PRESENT_MS = 10 * 60_000;

/** The jobs that a worker has packs of, to tell waiting within a job from waiting for one. */
export class PresentJobs {
  readonly #now: () => number;
  readonly #lastSeenMs = new Map<string, number>();

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Takes note of the jobs of a batch. @returns whether none of them was present before. */
  comeUp(jobs: readonly string[]): boolean {
    const now = this.#now();
    for (const [job, seenMs] of this.#lastSeenMs) if (now - seenMs > PRESENT_MS) this.#lastSeenMs.delete(job);
    const isNew = !jobs.some((job) => this.#lastSeenMs.has(job));
    for (const job of jobs) this.#lastSeenMs.set(job, now);
    return isNew;
  }
}
