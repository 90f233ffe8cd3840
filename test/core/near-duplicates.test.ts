import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { groupNearDuplicates } from '#core/job/near-duplicates.ts';

const Hash = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((n) => n.toString(16).padStart(16, '0'));
/** A hash and copies of it with a few bits changed: uniform hashes alone would hardly ever be near each other. */
const Family = fc
  .tuple(Hash, fc.array(fc.array(fc.nat(63), { maxLength: 6 }), { maxLength: 4 }))
  .map(([hash, flips]) => [hash, ...flips.map((bits) => flipped(hash, bits))]);
const Hashes = fc.array(Family, { maxLength: 8 }).map((families) => families.flat());

function flipped(hash: string, bits: readonly number[]): string {
  return bits
    .reduce((value, bit) => value ^ (1n << BigInt(bit)), BigInt(`0x${hash}`))
    .toString(16)
    .padStart(16, '0');
}

function distance(a: string, b: string): number {
  return (BigInt(`0x${a}`) ^ BigInt(`0x${b}`)).toString(2).replaceAll('0', '').length;
}

/** Single linkage by comparing everything with everything. */
function plainGroups(hashes: readonly string[], maxBits: number): number[] {
  const label = hashes.map((_, i) => i);
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = 0; i < hashes.length; i++) {
      for (let j = 0; j < hashes.length; j++) {
        const near = distance(hashes[i] as string, hashes[j] as string) <= maxBits;
        if (near && (label[j] as number) < (label[i] as number)) {
          label[i] = label[j] as number;
          changed = true;
        }
      }
    }
  }
  return label;
}

describe('grouping near duplicates', () => {
  it('finds the very groups that comparing all pairs finds', () => {
    fc.assert(
      fc.property(Hashes, fc.nat(10), (hashes, maxBits) => {
        const sets = groupNearDuplicates(hashes, maxBits);
        expect(hashes.map((_, i) => sets.leaderOf(i))).toEqual(plainGroups(hashes, maxBits));
      }),
      { numRuns: 200 },
    );
  });

  it('leaves pictures without a hash alone', () => {
    expect([...groupNearDuplicates([null, null, 'f'.repeat(16), null], 4).groups()]).toEqual([]);
  });

  it('groups a hundred thousand copies of one picture without comparing them pair by pair', () => {
    const hashes = Array.from({ length: 100_000 }, () => '0123456789abcdef');
    expect([...groupNearDuplicates(hashes, 4).groups().values()].map((group) => group.length)).toEqual([
      100_000,
    ]);
  });
});
