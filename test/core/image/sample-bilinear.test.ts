import { describe, expect, it } from 'vitest';
import { sampleBilinear } from '#core/image/sample-bilinear.ts';

const gray = (levels: number[]): Uint8Array =>
  Uint8Array.from(levels.flatMap((level) => [level, level, level]));
const row = (levels: number[], widthPx: number, alignCorners: boolean): number[] => {
  const source = { widthPx: levels.length, heightPx: 1 };
  const result = sampleBilinear(gray(levels), source, { widthPx, heightPx: 1 }, alignCorners);
  return [...result].filter((_, i) => i % 3 === 0);
};

describe('linear resampling without antialiasing', () => {
  it('looks at two neighbours only, however much smaller the target is', () => {
    expect(row([0, 0, 0, 100, 200, 0, 0, 0], 1, false)).toEqual([150]);
  });

  it('keeps the edges in place with aligned corners', () => {
    expect(row([0, 50, 100, 150, 200], 3, true)).toEqual([0, 100, 200]);
    expect(row([0, 200], 3, true)).toEqual([0, 100, 200]);
  });

  it('enlarges from the centres of pixels, as OpenCV does', () => {
    expect(row([0, 200], 4, false)).toEqual([0, 50, 150, 200]);
  });

  it('leaves a picture of the same size as it is', () => {
    expect(row([3, 1, 4, 1, 5], 5, false)).toEqual([3, 1, 4, 1, 5]);
    expect(row([3, 1, 4, 1, 5], 5, true)).toEqual([3, 1, 4, 1, 5]);
  });
});
