import { describe, expect, it } from 'vitest';
import type { ImageRef } from '#core/image-ref.ts';
import { SampledSource } from '#core/quote/sampled-source.ts';

function sampled(refs: readonly ImageRef[], seed = 1, capacity = 600): SampledSource {
  const source = new SampledSource({ seed, capacity });
  for (const ref of refs) source.add(ref);
  return source;
}

function refsOf(count: number, suffix: string, bytesOf: (i: number) => number): ImageRef[] {
  return Array.from({ length: count }, (_, i) => ({ key: `${i}.${suffix}`, etag: '', bytes: bytesOf(i) }));
}

const MIXED = [
  ...refsOf(900, 'jpg', (i) => 50_000 + 1000 * i),
  ...refsOf(90, 'PNG', (i) => 200_000 + 20_000 * i),
  ...refsOf(3, 'xyz', () => 10),
];

describe('SampledSource', () => {
  it('has each image in one stratum, by suffix and file size', () => {
    const source = sampled(MIXED);
    const strata = source.strata(200);
    expect(strata.reduce((sum, { images }) => sum + images, 0)).toBe(source.images);
    expect(strata.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(source.bytes);
    expect(new Set(strata.map(({ format }) => format))).toEqual(new Set(['jpeg', 'png', 'other']));
    const jpegs = strata.filter(({ format }) => format === 'jpeg');
    expect(jpegs.length).toBeGreaterThan(3);
    for (const [i, { fromBytes }] of jpegs.slice(1).entries())
      expect(fromBytes).toBeGreaterThan(jpegs[i]!.toBytes);
    const share = source.bytes / strata.length;
    for (const { bytes } of jpegs) expect(bytes).toBeGreaterThan(share / 4);
  });

  it('draws each image once, within the bounds of its stratum, until none is left', () => {
    for (const stratum of sampled(MIXED).strata(200)) {
      const refs = [...stratum.draw(7), ...stratum.draw(10_000)];
      expect(refs).toHaveLength(stratum.images);
      expect(new Set(refs.map(({ key }) => key)).size).toBe(refs.length);
      for (const { bytes } of refs) {
        expect(bytes).toBeGreaterThanOrEqual(stratum.fromBytes);
        expect(bytes).toBeLessThanOrEqual(stratum.toBytes);
      }
    }
  });

  it('draws the same images for the same seed, and others for another', () => {
    const drawn = (seed: number) =>
      sampled(MIXED, seed)
        .strata(200)
        .flatMap((stratum) => stratum.draw(10).map(({ key }) => key));
    expect(drawn(1)).toEqual(drawn(1));
    expect(drawn(1)).not.toEqual(drawn(2));
  });

  it('draws each image about as often as any other, though it keeps a few only', () => {
    const refs = refsOf(60, 'jpg', (i) => 1000 + 20 * i);
    const times = new Map<string, number>();
    for (let seed = 0; seed < 2000; seed++) {
      const [stratum] = sampled(refs, seed, 6).strata(5);
      for (const { key } of stratum!.draw(6)) times.set(key, (times.get(key) ?? 0) + 1);
    }
    // 200 times each is expected, with a standard deviation of 13.
    expect(times.size).toBe(60);
    for (const count of times.values()) expect(Math.abs(count - 200)).toBeLessThan(5 * 13.5);
  });

  it('has fewer strata for a small sample, and one for files whose size nobody knows', () => {
    expect(sampled(MIXED).strata(15).length).toBeLessThanOrEqual(5);
    expect(sampled(refsOf(10, 'jpg', () => 0)).strata(200)).toHaveLength(1);
    expect(sampled([]).strata(200)).toEqual([]);
  });
});
