import type { Lease } from '#core/ports/message-queue.ts';

/**
 * Keeps a lease alive while the work runs: extends it every third of the visibility time-out, so that two
 * heartbeats may be lost before another receiver gets the message.
 */
export async function withHeartbeat<T>(
  lease: Lease,
  visibilityMs: number,
  work: () => Promise<T>,
): Promise<T> {
  const beat = setInterval(() => {
    // A lost heartbeat costs a redelivery, which is harmless.
    lease.extend(visibilityMs).catch(() => undefined);
  }, visibilityMs / 3);
  try {
    return await work();
  } finally {
    clearInterval(beat);
  }
}
