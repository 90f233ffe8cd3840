import { z } from 'zod';

/**
 * Why an image could not be audited: the closed list. Each refused image becomes a row with one of
 * these codes; none of them ever fails the pack it is in.
 */
export const REFUSAL_CODES = [
  'empty',
  'missing',
  'forbidden',
  'not-an-image',
  'unsupported-format',
  'corrupt',
  'truncated',
  'too-many-bytes',
  'too-many-pixels',
  'too-many-frames',
  'timed-out',
] as const;

export const RefusalCode = z.enum(REFUSAL_CODES);
export type RefusalCode = z.infer<typeof RefusalCode>;

/** Refusals that say something of that hour and nothing of the object: it may be read the next time, its etag unchanged. */
export const PASSING_REFUSALS: ReadonlySet<string> = new Set<RefusalCode>([
  'missing',
  'forbidden',
  'timed-out',
]);

/** One refusal: the code for machines, the detail for people. The detail never holds a path. */
export const Refusal = z.strictObject({
  code: RefusalCode,
  detail: z.string().max(300),
});
export type Refusal = z.infer<typeof Refusal>;

/** Builds a {@link Refusal}, holding the detail to its length limit. */
export function refusal(code: RefusalCode, detail: string): Refusal {
  return { code, detail: detail.length > 300 ? `${detail.slice(0, 299)}…` : detail };
}
