import { setTimeout as sleep } from 'node:timers/promises';
import type { InstanceMetadata, InterruptionNotice } from '#adapters/instance-metadata.ts';

export interface StandByOptions {
  /** Between two looks at the notice. */
  readonly everyMs: number;
  /** How long a replacement for the instance may take to come. */
  readonly patienceMs: number;
  /** Aborted by SIGTERM. */
  readonly stop: AbortSignal;
}

/**
 * Waits on an instance that had its notice before the worker started: another worker has drained because of it, and ECS has
 * put this one in its place. Draining once more would only have it started once more. It takes no work until `stop`, or
 * until nothing has replaced the instance for so long: where Spot has no other, an instance at risk still works, and
 * drains by its interruption notice.
 */
export async function standBy(
  notice: InterruptionNotice,
  metadata: Pick<InstanceMetadata, 'interruption'>,
  { everyMs, patienceMs, stop }: StandByOptions,
): Promise<void> {
  const deadline = performance.now() + patienceMs;
  let current: InterruptionNotice | undefined = notice;
  while (!stop.aborted && current !== undefined) {
    if (current.kind === 'rebalance' && performance.now() >= deadline) return;
    await sleep(everyMs, undefined, { signal: stop }).catch(() => undefined);
    current = await metadata.interruption(stop).catch(() => current);
  }
}
