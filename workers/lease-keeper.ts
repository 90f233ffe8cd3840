import type { Lease } from '#core/ports/message-queue.ts';

/**
 * Keeps leases alive while their work goes on. All are extended at the same moment, every third of the visibility
 * time-out, so that they share requests, and two heartbeats may be lost before another receiver gets a message.
 */
export class LeaseKeeper implements Disposable {
  readonly #visibilityMs: number;
  readonly #leases = new Set<Lease>();
  readonly #timer: NodeJS.Timeout;

  constructor(visibilityMs: number) {
    this.#visibilityMs = visibilityMs;
    this.#timer = setInterval(() => this.#beat(), visibilityMs / 3);
    this.#timer.unref();
  }

  keep(lease: Lease): void {
    this.#leases.add(lease);
  }

  release(lease: Lease): void {
    this.#leases.delete(lease);
  }

  /** Gives back at once all that is still held: whoever takes a message next does its work again. */
  async giveBackAll(): Promise<number> {
    const leases = [...this.#leases];
    this.#leases.clear();
    await Promise.allSettled(leases.map((lease) => lease.retry()));
    return leases.length;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #beat(): void {
    // A lost heartbeat costs a redelivery at the worst, which is harmless.
    for (const lease of this.#leases) lease.extend(this.#visibilityMs).catch(() => undefined);
  }
}
