import { z } from 'zod';
import { messageOf, SluiceError } from '#core/error.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';

/**
 * The value of a JSON object in a store, or `undefined` where there is none.
 *
 * @throws SluiceError `accounting-broken` for an object that is not what it should be: cut short, or of another version.
 */
export async function readJson<T>(
  store: ObjectStore,
  key: string,
  schema: z.ZodType<T>,
): Promise<T | undefined> {
  let text: string;
  try {
    text = (await store.get(key)).body.toString('utf8');
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'object-missing') return undefined;
    throw error;
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    const reason = cause instanceof z.ZodError ? z.prettifyError(cause) : messageOf(cause);
    throw new SluiceError(
      'accounting-broken',
      `the object ${key} is damaged, or of another version (${text.length} characters): ${reason}. ` +
        'Restore it, or delete it and what it belongs to is done again where it can be',
      { cause },
    );
  }
}

export async function writeJson(store: ObjectStore, key: string, value: unknown): Promise<void> {
  await store.put(key, Buffer.from(JSON.stringify(value)));
}
