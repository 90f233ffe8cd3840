/** Jobs that are remembered. */
const MAX_KNOWN = 100;

/** Something that is the same for a job as long as it runs: read once. What could not be read is tried afresh. */
export class PerJob<T> {
  readonly #read: (job: string) => Promise<T>;
  readonly #known = new Map<string, Promise<T>>();

  constructor(read: (job: string) => Promise<T>) {
    this.#read = read;
  }

  of(job: string): Promise<T> {
    const known = this.#known.get(job);
    if (known !== undefined) return known;
    const reading = this.#read(job);
    reading.catch(() => this.#known.delete(job));
    const [oldest] = this.#known.keys();
    if (this.#known.size >= MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(job, reading);
    return reading;
  }
}
