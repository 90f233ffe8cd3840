import { decodePack, type Pack, PackChecksum } from '#core/pack.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';

/**
 * A pack from the store, checked. Its checksum is computed piece by piece as it comes in: a second pass over megabytes
 * that have left the processor's cache would cost several times as much.
 *
 * @throws SluiceError `object-missing`, `pack-damaged`, or whatever the store says.
 */
export async function fetchPack(works: ObjectStore, key: string, maxBytes?: number): Promise<Pack> {
  let checksum = new PackChecksum();
  const { body } = await works.get(key, {
    ...(maxBytes !== undefined && { maxBytes }),
    watch: () => {
      const current = new PackChecksum();
      checksum = current;
      return (piece) => current.add(piece);
    },
  });
  return decodePack(body, checksum);
}
