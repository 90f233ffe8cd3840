/** Shards of the same size that wait, one message each. */
interface Waiting {
  readonly images: number;
  count: number;
}

/** The queue of shards. A job has many of one size, so they are counted and not listed. */
export class ShardQueue {
  readonly #waiting: Waiting[] = [];
  #count = 0;

  /** Messages that wait. */
  get count(): number {
    return this.#count;
  }

  /** All shards of a job. */
  sendJob(images: number, shardSize: number): void {
    this.send(shardSize, Math.floor(images / shardSize));
    this.send(images % shardSize, 1);
  }

  send(images: number, count: number): void {
    if (images <= 0 || count <= 0) return;
    this.#count += count;
    const same = this.#waiting.find((waiting) => waiting.images === images);
    if (same === undefined) this.#waiting.push({ images, count });
    else same.count += count;
  }

  /** Up to so many shards of one size. */
  receive(count: number): { images: number; count: number } | undefined {
    const first = this.#waiting[0];
    if (first === undefined || count <= 0) return undefined;
    const taken = Math.min(count, first.count);
    first.count -= taken;
    this.#count -= taken;
    if (first.count === 0) this.#waiting.shift();
    return { images: first.images, count: taken };
  }
}
