import { describe, expect, it } from 'vitest';
import type { ImageRef } from '#core/image-ref.ts';
import { SampledSource, type Stratum } from '#core/quote/sampled-source.ts';
import { findingsOf, type MeasuredImage, takeSample } from '#core/quote/take-sample.ts';

function strataOf(counts: Readonly<Record<string, number>>, sample = 100): Stratum[] {
  const source = new SampledSource({ seed: 1, capacity: 600 });
  for (const [suffix, count] of Object.entries(counts)) {
    for (let i = 0; i < count; i++) source.add({ key: `${i}.${suffix}`, etag: '', bytes: 100_000 + 100 * i });
  }
  return source.strata(sample);
}

/** Decodes nothing: a PNG takes 1 to 99 ms, by its key, and every other image 10. */
function fakeMeasure(seen: string[][]) {
  return async (refs: readonly ImageRef[]): Promise<MeasuredImage[]> => {
    seen.push(refs.map(({ key }) => key));
    return refs.map(({ key }) => ({
      cpuMs: key.endsWith('.png') ? (Number.parseInt(key, 10) * 37) % 100 : 10,
      megapixels: 2,
    }));
  };
}

describe('takeSample', () => {
  it('looks again where the images of the first half differed most, and decodes none twice', async () => {
    const seen: string[][] = [];
    const strata = await takeSample(
      strataOf({ jpg: 2000, png: 2000 }),
      { images: 100, mostImages: 100 },
      fakeMeasure(seen),
    );
    expect(seen.map((keys) => keys.length)).toEqual([50, 50]);
    expect(new Set(seen.flat()).size).toBe(100);
    const pngsOf = (keys: readonly string[]) => keys.filter((key) => key.endsWith('.png')).length;
    expect(pngsOf(seen[0]!)).toBe(25);
    expect(pngsOf(seen[1]!)).toBeGreaterThan(40);
    expect(strata.flatMap(({ measured }) => measured)).toHaveLength(100);
  });

  it('looks at some of every stratum, however few images were asked for', async () => {
    const strata = await takeSample(
      strataOf({ jpg: 5000, png: 2, gif: 40 }),
      { images: 10, mostImages: 10 },
      fakeMeasure([]),
    );
    const sampledOf = (wanted: string) =>
      strata.filter(({ format }) => format === wanted).map(({ measured }) => measured.length);
    expect(sampledOf('png')).toEqual([2]);
    expect(sampledOf('gif')).toEqual([3]);
    for (const count of sampledOf('jpeg')) expect(count).toBeGreaterThanOrEqual(3);
  });

  it('grows where the images differ much, up to its limit, and not where they are alike', async () => {
    const [alike, different]: [string[][], string[][]] = [[], []];
    await takeSample(strataOf({ jpg: 2000 }), { images: 100, mostImages: 300 }, fakeMeasure(alike));
    await takeSample(strataOf({ png: 2000 }), { images: 100, mostImages: 300 }, fakeMeasure(different));
    expect(alike.flat()).toHaveLength(100);
    expect(different.flat()).toHaveLength(300);
  });

  it('decodes a small source whole, and then knows it', async () => {
    const seen: string[][] = [];
    const strata = await takeSample(
      strataOf({ png: 30 }),
      { images: 100, mostImages: 300 },
      fakeMeasure(seen),
    );
    expect(new Set(seen.flat()).size).toBe(30);
    const { cpuMs } = findingsOf(strata);
    expect(cpuMs.low).toBe(cpuMs.high);
  });
});

describe('findingsOf', () => {
  it('counts refused images, and reckons with what they took', () => {
    const decoded = { cpuMs: 20, megapixels: 4 };
    const stratum = { format: 'jpeg', fromBytes: 1, toBytes: 9, images: 100, bytes: 500 };
    const found = findingsOf([
      {
        ...stratum,
        measured: [
          decoded,
          decoded,
          decoded,
          { cpuMs: 1, refusal: 'truncated' },
          { cpuMs: 3, refusal: 'empty' },
        ],
      },
    ]);
    expect(found).toMatchObject({
      sampled: 5,
      sampledRefused: 2,
      refusals: { empty: 1, truncated: 1 },
      megapixels: 4,
    });
    expect(found.cpuMs.estimate).toBeCloseTo((100 * 64) / 5, 9);
    expect(found.refused.estimate).toBeCloseTo(40, 9);
    expect(Object.keys(found.refusals)).toEqual(['empty', 'truncated']);
  });

  it('does not take a sample without a broken file for a source without one', () => {
    const stratum = { format: 'jpeg', fromBytes: 1, toBytes: 9, bytes: 500 };
    const measured = Array.from({ length: 60 }, () => ({ cpuMs: 5, megapixels: 1 }));
    const { refused } = findingsOf([
      { ...stratum, images: 660, measured },
      { ...stratum, images: 60, measured },
    ]);
    expect(refused).toMatchObject({ estimate: 0, low: 0, high: 30 });
    expect(findingsOf([{ ...stratum, images: 60, measured }]).refused.high).toBe(0);
  });
});
