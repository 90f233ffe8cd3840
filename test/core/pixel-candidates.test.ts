import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hammingDistance } from '#core/image/perceptual-hash.ts';
import { type Comparable, pixelCandidates } from '#core/job/pixel-candidates.ts';

const image = (changes: Partial<Comparable> = {}): Comparable => ({
  widthPx: 640,
  heightPx: 480,
  format: 'jpeg',
  contentHash: null,
  perceptualHash: '8c97878782733379',
  ...changes,
});

describe('images that may have the same pixels', () => {
  it('have equal content hashes, and copies stand together', () => {
    const hashes = ['b', 'a', 'c', 'b', 'a', null];
    const images = hashes.map((contentHash) => image({ contentHash }));
    expect(pixelCandidates(images)).toEqual([1, 4, 0, 3]);
  });

  it('are of two formats, of one size, and look alike', () => {
    const near = { format: 'png', contentHash: 'b', perceptualHash: '8c9787878273337a' };
    const jpeg = image({ contentHash: 'a' });
    expect(pixelCandidates([jpeg, image(near)])).toEqual([0, 1]);
    expect(pixelCandidates([jpeg, image({ ...near, format: 'jpeg' })])).toEqual([]);
    expect(pixelCandidates([jpeg, image({ ...near, widthPx: 641 })])).toEqual([]);
    expect(pixelCandidates([jpeg, image({ ...near, perceptualHash: '8c978787827333ff' })])).toEqual([0, 1]);
    expect(pixelCandidates([jpeg, image({ ...near, perceptualHash: '8c978787827300ff' })])).toEqual([]);
  });

  it('are blank pictures of two formats, and no others that have no perceptual hash', () => {
    const blank = { perceptualHash: null };
    expect(pixelCandidates([image(blank), image({ ...blank, format: 'png' }), image({})])).toEqual([0, 1]);
    expect(pixelCandidates([image(blank), image(blank)])).toEqual([]);
  });

  it('are found as if each were compared with each', () => {
    const hash = fc.array(fc.nat(63), { maxLength: 6 }).map((bits) =>
      bits
        .reduce((sum, bit) => sum ^ (1n << BigInt(bit)), 0n)
        .toString(16)
        .padStart(16, '0'),
    );
    const any = fc.record({
      widthPx: fc.constantFrom(1, 2),
      heightPx: fc.constant(1),
      format: fc.constantFrom('jpeg', 'png', 'webp'),
      contentHash: fc.option(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f')),
      perceptualHash: fc.option(hash),
    });
    const mayBeEqual = (a: Comparable, b: Comparable): boolean => {
      if (a.contentHash !== null && a.contentHash === b.contentHash) return true;
      if (a.format === b.format || a.widthPx !== b.widthPx) return false;
      if (a.perceptualHash === null || b.perceptualHash === null)
        return a.perceptualHash === b.perceptualHash;
      return hammingDistance(a.perceptualHash, b.perceptualHash) <= 4;
    };
    fc.assert(
      fc.property(fc.array(any, { maxLength: 12 }), (images) => {
        const expected = [...images.keys()].filter((i) =>
          images.some((other, j) => i !== j && mayBeEqual(images[i] as Comparable, other)),
        );
        expect(pixelCandidates(images).sort((a, b) => a - b)).toEqual(expected);
      }),
    );
  });
});
