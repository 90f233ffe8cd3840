import { z } from 'zod';
import { SluiceError } from '#core/error.ts';

/** What flags came to, checked against its schema. @throws SluiceError `config-invalid` that lists every bad value. */
export function validated<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new SluiceError(
    'config-invalid',
    `${what} is not usable as given:\n${z.prettifyError(parsed.error)}`,
  );
}
