import type { Size } from '#core/geometry.ts';
import { hammingDistance } from '#core/image/perceptual-hash.ts';

/**
 * A JPEG that the decoder shrank and a lossless copy of its pixels differ by a fraction of a level once they are scaled, and
 * their perceptual hashes in few bits: over the corpus of the tests in none to two.
 */
const MAX_BITS = 4;
/** One more: two hashes that differ in at most that many bits agree in one of so many bands (see near-duplicates.ts). */
const BANDS = MAX_BITS + 1;

/** What tells whether two images may have the same pixels. */
export interface Comparable extends Size {
  readonly format: string | null;
  readonly contentHash: string | null;
  readonly perceptualHash: string | null;
}

/**
 * The images that may have the same pixels as another one, by position: those whose content hash another one has, and those
 * that have an image of another format beside them, of the same size and about the same perceptual hash (or none, as blank ones).
 *
 * Images of one format and one size take the same way through the decoder, so that equal pixels come to equal content hashes.
 *
 * @returns ascending within each group of images that are alike, group after group.
 */
export function pixelCandidates(images: readonly Comparable[]): number[] {
  const byContent = grouped(images.keys(), (i) => images[i]?.contentHash ?? undefined);
  const candidates = new Set<number>();
  for (const members of byContent.values()) if (members.length > 1) addAll(candidates, members);
  const bySize = grouped(images.keys(), (i) => sizeOf(images[i] as Comparable));
  for (const members of bySize.values()) addAll(candidates, acrossFormats(members, images));
  // Copies of one file come one after the other, so that its pixels need not be decoded for each.
  const order = (i: number): string => (images[i] as Comparable).contentHash ?? '';
  return [...candidates].sort((a, b) => compare(order(a), order(b)) || a - b);
}

function sizeOf({ widthPx, heightPx }: Size): string {
  return `${widthPx}x${heightPx}`;
}

/** Those of one size that look like one of another format. */
function acrossFormats(members: readonly number[], images: readonly Comparable[]): number[] {
  const formatOf = (i: number): string => (images[i] as Comparable).format ?? '';
  if (new Set(members.map(formatOf)).size < 2) return [];
  // All images of one format and hash stand and fall together.
  const alike = grouped(members, (i) => `${formatOf(i)} ${(images[i] as Comparable).perceptualHash ?? ''}`);
  const kinds = [...alike.values()].map((positions) => ({
    positions,
    format: formatOf(positions[0] as number),
    hash: (images[positions[0] as number] as Comparable).perceptualHash,
    found: false,
  }));
  const blank = kinds.filter(({ hash }) => hash === null);
  if (blank.length > 1) for (const kind of blank) kind.found = true;
  const hashed = kinds.flatMap((kind) => (kind.hash === null ? [] : [{ ...kind, hash: kind.hash, kind }]));
  for (let band = 0; band < BANDS; band++) {
    const from = Math.floor((band * 16) / BANDS);
    const to = Math.floor(((band + 1) * 16) / BANDS);
    for (const bucket of grouped(hashed, ({ hash }) => hash.slice(from, to)).values()) {
      const [...formats] = grouped(bucket, ({ format }) => format).values();
      for (const [i, some] of formats.entries())
        for (const others of formats.slice(i + 1)) markAlike(some, others);
    }
  }
  return kinds.flatMap(({ positions, found }) => (found ? positions : []));
}

interface Kind {
  readonly hash: string;
  readonly kind: { found: boolean };
}

function markAlike(some: readonly Kind[], others: readonly Kind[]): void {
  for (const a of some) {
    for (const b of others) {
      if ((a.kind.found && b.kind.found) || hammingDistance(a.hash, b.hash) > MAX_BITS) continue;
      a.kind.found = true;
      b.kind.found = true;
    }
  }
}

function grouped<T, K>(items: Iterable<T>, nameOf: (item: T) => K | undefined): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const name = nameOf(item);
    if (name === undefined) continue;
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [item]);
    else group.push(item);
  }
  return groups;
}

function addAll<T>(set: Set<T>, items: readonly T[]): void {
  for (const item of items) set.add(item);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
