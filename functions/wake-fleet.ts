import type { JsonLog } from '#adapters/json-log.ts';
import type { Pipeline } from '#adapters/pipeline.ts';
import { messageOf } from '#core/error.ts';

/**
 * Starts a worker where there is none, before work is sent to it. Where that fails the work is sent all the same: the
 * group's alarms see it, some minutes later.
 */
export async function wakeFleet({ fleet }: Pick<Pipeline, 'fleet'>, log: JsonLog): Promise<void> {
  try {
    if ((await fleet?.wake()) === true) log.info('no worker runs: starting one');
  } catch (error) {
    log.warn('no worker could be started', { reason: messageOf(error) });
  }
}
