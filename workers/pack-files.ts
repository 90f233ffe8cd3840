import { PackChecksum } from '#core/pack.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { RecycledMemory } from './recycled-memory.ts';

/** A pack as it lies in the store, and the checksum of what was read. */
export interface PackFile {
  readonly file: Buffer;
  readonly checksum: string;
}

/** Where a worker reads packs. */
export interface PackFiles {
  /**
   * @param announcedBytes the size that the message tells.
   * @throws SluiceError `object-missing`, `object-too-large`, or whatever the store says.
   */
  read(key: string, announcedBytes: number): Promise<PackFile>;
}

/** A pack that was made again may differ by the digits of a few numbers in its header. */
export const MAX_GROWTH = 2;

/** Packs read on this thread, into memory that goes round. */
export function storedPackFiles(works: ObjectStore, memory: RecycledMemory): PackFiles {
  return {
    read: (key, announcedBytes) =>
      readPackFile(works, key, MAX_GROWTH * announcedBytes, (bytes) => memory.take(bytes)),
  };
}

/**
 * Reads a file and computes its checksum piece by piece as it comes in: a second pass over megabytes that have left the
 * processor's cache would cost several times as much.
 */
export async function readPackFile(
  works: ObjectStore,
  key: string,
  maxBytes: number,
  allocate: (bytes: number) => Buffer,
): Promise<PackFile> {
  let checksum = new PackChecksum();
  const { body } = await works.get(key, {
    maxBytes,
    allocate,
    watch: () => {
      const current = new PackChecksum();
      checksum = current;
      return (piece) => current.add(piece);
    },
  });
  return { file: body, checksum: checksum.hex };
}
