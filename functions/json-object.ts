import type { z } from 'zod';
import { SluiceError } from '#core/error.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';

/** The value of a JSON object in a store, or `undefined` where there is none. */
export async function readJson<T>(
  store: ObjectStore,
  key: string,
  schema: z.ZodType<T>,
): Promise<T | undefined> {
  try {
    return schema.parse(JSON.parse((await store.get(key)).body.toString('utf8')));
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'object-missing') return undefined;
    throw error;
  }
}

export async function writeJson(store: ObjectStore, key: string, value: unknown): Promise<void> {
  await store.put(key, Buffer.from(JSON.stringify(value)));
}
