import { DisjointSets } from './disjoint-sets.ts';

const HASH_BITS = 64;

/**
 * Groups hashes that differ in at most `maxBits` bits, directly or through others (single linkage).
 *
 * By the pigeonhole principle two 64-bit hashes that differ in at most r bits agree in at least one of r + 1
 * disjoint bands, so only hashes that share a band are compared. Source: Norouzi, Punjani and Fleet, "Fast
 * Search in Hamming Space with Multi-Index Hashing", CVPR 2012. Time is about (r + 1) · n² / 2^(64 / (r + 1))
 * comparisons for well-spread hashes; memory is a few words per hash.
 *
 * @param hashes 16 hex digits each; null stands for a picture that has none and joins no group.
 */
export function groupNearDuplicates(hashes: readonly (string | null)[], maxBits: number): DisjointSets {
  // Equal hashes are joined first, so that a thousand copies of one picture cost no thousand² comparisons.
  const sets = DisjointSets.ofEqual(hashes);
  const distinct = [...hashes.keys()].filter(
    (index) => hashes[index] !== null && sets.leaderOf(index) === index,
  );
  const high = new Uint32Array(distinct.length);
  const low = new Uint32Array(distinct.length);
  for (const [i, index] of distinct.entries()) {
    const hash = hashes[index] as string;
    high[i] = Number.parseInt(hash.slice(0, 8), 16);
    low[i] = Number.parseInt(hash.slice(8), 16);
  }
  if (maxBits === 0) return sets;
  for (let band = 0; band <= maxBits; band++) {
    const buckets = bucketsOf(high, low, bandMask(band, maxBits + 1));
    for (const bucket of buckets.values()) {
      for (let a = 0; a < bucket.length; a++) {
        const i = bucket[a] as number;
        for (let b = a + 1; b < bucket.length; b++) {
          const j = bucket[b] as number;
          const bits =
            bitCount((high[i] as number) ^ (high[j] as number)) +
            bitCount((low[i] as number) ^ (low[j] as number));
          if (bits <= maxBits) sets.join(distinct[i] as number, distinct[j] as number);
        }
      }
    }
  }
  return sets;
}

function bandMask(band: number, bands: number): { high: number; low: number } {
  const from = Math.floor((band * HASH_BITS) / bands);
  const to = Math.floor(((band + 1) * HASH_BITS) / bands);
  let mask = 0n;
  for (let bit = from; bit < to; bit++) mask |= 1n << BigInt(bit);
  return { high: Number(mask >> 32n), low: Number(mask & 0xffffffffn) };
}

function bucketsOf(
  high: Uint32Array,
  low: Uint32Array,
  mask: { high: number; low: number },
): Map<number, number[]> {
  const buckets = new Map<number, number[]>();
  for (let i = 0; i < high.length; i++) {
    // The masked words never exceed 32 bits each, so their mix is a safe integer that keeps them apart.
    const maskedHigh = ((high[i] as number) & mask.high) >>> 0;
    const maskedLow = ((low[i] as number) & mask.low) >>> 0;
    const name = maskedHigh * 2 ** 20 + maskedLow * (mask.high === 0 ? 1 : 2 ** -12);
    const bucket = buckets.get(name);
    if (bucket === undefined) buckets.set(name, [i]);
    else bucket.push(i);
  }
  return buckets;
}

function bitCount(word: number): number {
  let x = word - ((word >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return (((x + (x >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}
