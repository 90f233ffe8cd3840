import { PackChecksum } from '#core/pack.ts';
import type { GetOptions, ObjectStore } from '#core/ports/object-store.ts';
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
   * @param signal gives the reading up; the promise then rejects with its reason at once.
   * @throws SluiceError `object-missing`, `object-too-large`, or whatever the store says.
   */
  read(key: string, announcedBytes: number, signal?: AbortSignal): Promise<PackFile>;
}

/** A pack that was made again may differ by the digits of a few numbers in its header. */
export const MAX_GROWTH = 2;

/** Packs read on this thread, into memory that goes round. */
export function storedPackFiles(works: ObjectStore, memory: RecycledMemory): PackFiles {
  return {
    read: (key, announcedBytes, signal) =>
      readPackFile(works, key, {
        maxBytes: MAX_GROWTH * announcedBytes,
        allocate: (bytes) => memory.take(bytes),
        ...(signal && { signal }),
      }),
  };
}

/**
 * Reads a file and computes its checksum piece by piece as it comes in: a second pass over megabytes that have left the
 * processor's cache would cost several times as much.
 */
export async function readPackFile(
  works: ObjectStore,
  key: string,
  options: Pick<GetOptions, 'maxBytes' | 'allocate' | 'signal'>,
): Promise<PackFile> {
  let checksum = new PackChecksum();
  const { body } = await works.get(key, {
    ...options,
    watch: () => {
      const current = new PackChecksum();
      checksum = current;
      return (piece) => current.add(piece);
    },
  });
  return { file: body, checksum: checksum.hex };
}
