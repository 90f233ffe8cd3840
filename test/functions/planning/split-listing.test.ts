import { describe, expect, it } from 'vitest';
import { boundaryAhead } from '#functions/planning/split-listing.ts';
import { keyListing } from '#test/support/key-listing.ts';

const numbered = (stem: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${stem}${String(i).padStart(4, '0')}.jpg`);

describe('a boundary ahead in a listing', () => {
  it.each([
    ['in the middle of what keys differ in', numbered('IMG_', 9000), '', 'IMG_0100.jpg', undefined, 'IMG_4'],
    ['ahead of what was listed', numbered('IMG_', 9000), '', 'IMG_7000.jpg', undefined, 'IMG_8'],
    [
      'within the last character that is left',
      numbered('IMG_', 9000),
      '',
      'IMG_8100.jpg',
      undefined,
      'IMG_85',
    ],
    ['below a prefix', numbered('a/é😀', 900), 'a/', 'a/é😀0100.jpg', undefined, 'a/é😀05'],
    ['before the end of the range', numbered('IMG_', 9000), '', 'IMG_0100.jpg', 'IMG_3', 'IMG_1'],
  ])('lies %s', async (_, keys, prefix, after, to, expected) => {
    const store = keyListing(keys);
    expect(await boundaryAhead(store, { prefix, after, to })).toBe(expected);
    expect(store.lists()).toBeLessThan(20);
  });

  it('is none where nothing is left, or nothing that could be told apart', async () => {
    const keys = numbered('IMG_', 100);
    const range = { prefix: '', after: keys.at(-1) as string };
    expect(await boundaryAhead(keyListing(keys), range)).toBeUndefined();
    expect(await boundaryAhead(keyListing(['é1', 'éü', 'éß']), { prefix: '', after: 'éß' })).toBeUndefined();
  });
});
