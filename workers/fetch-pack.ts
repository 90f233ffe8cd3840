import { decodePack, type Pack, PackChecksum } from '#core/pack.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { RecycledMemory } from './recycled-memory.ts';

/** A pack that was made again may differ by the digits of a few numbers in its header. */
const MAX_GROWTH = 2;

/**
 * A pack from the store, checked. Its checksum is computed piece by piece as it comes in: a second pass over megabytes
 * that have left the processor's cache would cost several times as much.
 *
 * @throws SluiceError `object-missing`, `pack-damaged`, or whatever the store says.
 */
export async function fetchPack(
  works: ObjectStore,
  key: string,
  announcedBytes: number,
  memory: RecycledMemory,
): Promise<Pack> {
  let checksum = new PackChecksum();
  const { body } = await works.get(key, {
    maxBytes: MAX_GROWTH * announcedBytes,
    allocate: (bytes) => memory.take(bytes),
    watch: () => {
      const current = new PackChecksum();
      checksum = current;
      return (piece) => current.add(piece);
    },
  });
  return decodePack(body, checksum);
}
