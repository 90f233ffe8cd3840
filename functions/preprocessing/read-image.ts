import { SluiceError } from '#core/error.ts';
import type { ImageRef } from '#core/image-ref.ts';
import type { ObjectStore, StoredObject } from '#core/ports/object-store.ts';
import { type Refusal, refusal } from '#core/refusal.ts';

/** The bytes of an image, or why there are none. @throws SluiceError where the store does not answer. */
export async function readImage(
  source: ObjectStore,
  ref: ImageRef,
  maxBytes: number,
): Promise<StoredObject | Refusal> {
  try {
    return await source.get(ref.key, { maxBytes });
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    switch (error.code) {
      case 'object-missing':
        return refusal('missing', 'there is no such object (any more)');
      case 'object-forbidden':
        // In the store's own words: they name the permission that is missing.
        return refusal('forbidden', error.message);
      case 'object-too-large':
        return refusal('too-many-bytes', `more than ${maxBytes} bytes`);
      default:
        throw error;
    }
  }
}
