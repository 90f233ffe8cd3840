import PQueue from 'p-queue';
import { inCallersTally } from '#adapters/meter.ts';
import { PackChecksum } from '#core/pack.ts';
import type { GetOptions, ObjectStore } from '#core/ports/object-store.ts';
import type { RecycledMemory } from './recycled-memory.ts';

/** A pack as it lies in the store, and the checksum of what was read. */
export interface PackFile {
  readonly file: Buffer;
  readonly checksum: string;
}

export interface ReadOptions {
  /** Gives the reading up; the promise then rejects with its reason at once. */
  readonly signal?: AbortSignal | undefined;
  /** Goes before whatever waits for a place. */
  readonly isUrgent?: boolean;
}

/** Where a worker reads packs. */
export interface PackFiles {
  /**
   * @param announcedBytes the size that the message tells.
   * @throws SluiceError `object-missing`, `object-too-large`, or whatever the store says.
   */
  read(key: string, announcedBytes: number, options?: ReadOptions): Promise<PackFile>;
}

/** A pack that was made again may differ by the digits of a few numbers in its header. */
export const MAX_GROWTH = 2;

/** Packs that are read from the store at the same time. Whoever asks for more waits; a place is free once the bytes are in. */
export const FETCHERS = 4;

/** In the line for a place. */
export function priorityOf(isUrgent: boolean | undefined): number {
  return isUrgent === true ? 1 : 0;
}

/** Packs read on this thread, into memory that goes round. */
export function storedPackFiles(works: ObjectStore, memory: RecycledMemory): PackFiles {
  const reads = new PQueue({ concurrency: FETCHERS });
  return {
    read: (key, announcedBytes, { signal, isUrgent } = {}) => {
      const options = {
        maxBytes: MAX_GROWTH * announcedBytes,
        allocate: (bytes: number) => memory.take(bytes),
        ...(signal && { signal }),
      };
      return reads.add(
        inCallersTally(() => readPackFile(works, key, options)),
        { priority: priorityOf(isUrgent) },
      );
    },
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
