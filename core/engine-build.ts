import { z } from 'zod';

/**
 * One attempt to build an engine, as it stands in the store. Attempts of a recipe are numbered from 1 on, and each number is taken
 * once: whoever takes the next one builds.
 */
export const BuildAttempt = z.strictObject({
  /** Who builds. */
  worker: z.string().min(1),
  state: z.enum([
    'building',
    /** Stopped before it was done: somebody else may begin at once. */
    'released',
    'failed',
  ]),
  startedAt: z.iso.datetime(),
  /** When its builder last said that it is at it. */
  at: z.iso.datetime(),
  /** Why it failed. */
  reason: z.string().optional(),
});
export type BuildAttempt = z.infer<typeof BuildAttempt>;
