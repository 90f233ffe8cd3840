import type { ObjectStore } from '#core/ports/object-store.ts';

/** What keys often go on with. The boundaries need not exist as keys. */
export const FIRST_CHARACTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** Keys that go on alike for longer are not told apart: each character takes a request. */
const MAX_STEM_CHARACTERS = 32;

/**
 * A boundary within what is left of a listing, about in the middle of what keys differ in: of IMG_0000 to IMG_9999, where
 * IMG_0100 was the last one, IMG_5. It takes some requests, each for one page.
 *
 * @param range the keys after `after`, up to and with `to` (or to the last one), that begin with `prefix`.
 * @returns a key between them, which need not exist, with keys behind it; `undefined` where none can be told.
 */
export async function boundaryAhead(
  store: Pick<ObjectStore, 'list'>,
  { prefix, after, to }: { prefix: string; after: string; to?: string | undefined },
  signal?: AbortSignal,
): Promise<string | undefined> {
  const hasKeysBehind = async (boundary: string): Promise<boolean> => {
    const { objects } = await store.list({ prefix, cursor: boundary, ...(signal && { signal }) });
    const [first] = objects;
    return first !== undefined && (to === undefined || compare(first.key, to) <= 0);
  };
  const own = [...after];
  const shared = Math.max([...prefix].length, to === undefined ? 0 : sharedCharacters(own, [...to]));
  for (let at = shared; at < Math.min(own.length, shared + MAX_STEM_CHARACTERS); at++) {
    const stem = own.slice(0, at).join('');
    const boundaries = [...FIRST_CHARACTERS]
      .map((character) => stem + character)
      .filter((boundary) => compare(boundary, after) > 0 && (to === undefined || compare(boundary, to) < 0));
    // Where there are keys behind one, there are behind all before it.
    let useful = 0;
    for (let end = boundaries.length; useful < end; ) {
      const probe = useful === 0 ? 0 : (useful + end) >> 1;
      if (await hasKeysBehind(boundaries[probe] as string)) useful = probe + 1;
      else end = probe;
    }
    // Else all that is left goes on with the same character.
    if (useful > 0) return boundaries[(useful - 1) >> 1];
  }
  return undefined;
}

function sharedCharacters(a: readonly string[], b: readonly string[]): number {
  let shared = 0;
  while (shared < a.length && a[shared] === b[shared]) shared++;
  return shared;
}

/** In the order of their UTF-8, as stores list. */
function compare(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
