import type { ObjectStore } from '#core/ports/object-store.ts';

/** A bucket of so many keys that can only be listed, and what was asked of it. */
export function keyListing(
  keys: readonly string[],
  pageSize = 1000,
): Pick<ObjectStore, 'list' | 'folders'> & { lists(): number; mostAtOnce(): number } {
  const sorted = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  let lists = 0;
  let busy = 0;
  let most = 0;
  return {
    lists: () => lists,
    /** Listings at the same time that each found a whole page. */
    mostAtOnce: () => most,
    folders: async () => [],
    list: async ({ prefix = '', cursor = '' } = {}) => {
      lists++;
      const found = sorted
        .filter((key) => key.startsWith(prefix) && Buffer.compare(Buffer.from(key), Buffer.from(cursor)) > 0)
        .slice(0, pageSize);
      const isWhole = found.length === pageSize;
      if (isWhole) most = Math.max(most, ++busy);
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (isWhole) busy--;
      const objects = found.map((key) => ({ key, bytes: 1, etag: key }));
      const next = isWhole ? (found.at(-1) as string) : undefined;
      return { objects, ...(next !== undefined && { next }) };
    },
  };
}
