import { z } from 'zod';
import { messageOf, SluiceError } from './error.ts';

/** "Preprocess this shard." */
export const ShardMessage = z.strictObject({
  v: z.literal(1),
  type: z.literal('shard'),
  job: z.string().min(1),
  shard: z.int().min(0),
});
export type ShardMessage = z.infer<typeof ShardMessage>;

/** "Infer this pack." The pack lies in the work store (claim check) with this size. */
export const PackMessage = z.strictObject({
  v: z.literal(1),
  type: z.literal('pack'),
  job: z.string().min(1),
  stage: z.string().min(1),
  shard: z.int().min(0),
  range: z.int().min(0),
  bytes: z.int().min(1),
});
export type PackMessage = z.infer<typeof PackMessage>;

/**
 * Parses a message against its schema.
 *
 * @throws SluiceError `message-malformed`, never retryable: the same text will not parse later.
 */
export function parseMessage<T>(schema: z.ZodType<T>, body: string): T {
  try {
    return schema.parse(JSON.parse(body));
  } catch (cause) {
    const shown = body.length > 120 ? `${body.slice(0, 120)}…` : body;
    throw new SluiceError(
      'message-malformed',
      `not a message of this queue: ${shown} (${messageOf(cause)})`,
      { cause },
    );
  }
}
