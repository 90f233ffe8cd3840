import { z } from 'zod';
import { overhead } from '#adapters/meter.ts';
import { messageOf } from '#core/error.ts';
import { finalizingKey } from '#core/job-layout.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { readJson, writeJson } from '../json-object.ts';

/** How the completion of a job has gone so far. */
export const FinalizingAttempt = z.strictObject({
  at: z.iso.datetime(),
  /** Attempts of which nothing was heard again: their time or memory was over. */
  deaths: z.int().min(0),
  /** Why the last one failed, where it could still say so. */
  reason: z.string().optional(),
});
export type FinalizingAttempt = z.infer<typeof FinalizingAttempt>;

/** A job that so many invocations have died of is left to `sluice finalize`, which has no time limit. */
export const MAX_DEATHS = 3;

export function lastAttempt(job: string, works: ObjectStore): Promise<FinalizingAttempt | undefined> {
  return readJson(works, finalizingKey(job), FinalizingAttempt);
}

/** Completes a job, and leaves word of it should this process not live to see the end. */
export async function attempt<T>(job: string, works: ObjectStore, complete: () => Promise<T>): Promise<T> {
  const key = finalizingKey(job);
  const { deaths = 0 } = (await lastAttempt(job, works)) ?? {};
  const note = (change: Partial<FinalizingAttempt>): Promise<void> =>
    writeJson(works, key, { at: new Date().toISOString(), deaths, ...change } satisfies FinalizingAttempt);
  await note({ deaths: deaths + 1 });
  try {
    const outcome = await complete();
    // The job's proof is out: this is in no job's usage.
    await overhead('finalize', () => works.delete([key]), { idle: true });
    return outcome;
  } catch (error) {
    await note({ reason: messageOf(error) });
    throw error;
  }
}
