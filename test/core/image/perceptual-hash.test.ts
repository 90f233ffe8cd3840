import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptyKernelMemory } from '#core/image/kernel-memory.ts';
import { hammingDistance, perceptualHash } from '#core/image/perceptual-hash.ts';

/** A picture from a function of place (0 to 1 on each axis), gray. */
function picture(widthPx: number, heightPx: number, light: (x: number, y: number) => number): Uint8Array {
  const pixels = new Uint8Array(widthPx * heightPx * 3);
  for (let y = 0; y < heightPx; y++) {
    for (let x = 0; x < widthPx; x++) {
      pixels.fill(
        light((x + 0.5) / widthPx, (y + 0.5) / heightPx),
        3 * (y * widthPx + x),
        3 * (y * widthPx + x) + 3,
      );
    }
  }
  return pixels;
}

/** @param pixels uint8 RGB `[heightPx, widthPx, 3]`. */
function hashOf(pixels: Uint8Array, widthPx: number, heightPx = widthPx): string | null {
  return perceptualHash(emptyKernelMemory().load(pixels, { widthPx, heightPx }));
}

/** How much of each pixel of a side belongs to one of 32 equal cells. */
function shares(sidePx: number, cell: number): { at: number; part: number }[] {
  const [from, to] = [(cell * sidePx) / 32, ((cell + 1) * sidePx) / 32];
  return Array.from({ length: sidePx }, (_, at) => ({
    at,
    part: Math.max(0, Math.min(at + 1, to) - Math.max(at, from)),
  })).filter(({ part }) => part > 0);
}

/** The definition, written out: mean of each of 32×32 cells, DCT-II, 8×8 low frequencies against their median. */
function plainHash(pixels: Uint8Array, widthPx: number, heightPx = widthPx): string {
  const luma = Array.from({ length: 32 }, (_, v) =>
    Array.from({ length: 32 }, (_, u) => {
      let sum = 0;
      for (const y of shares(heightPx, v)) {
        for (const x of shares(widthPx, u)) {
          const at = 3 * (y.at * widthPx + x.at);
          sum += y.part * x.part * (77 * pixels[at]! + 150 * pixels[at + 1]! + 29 * pixels[at + 2]!);
        }
      }
      return sum;
    }),
  );
  const cosine = (x: number, k: number) => Math.cos(((2 * x + 1) * k * Math.PI) / 64);
  const low: number[] = [];
  for (let k = 0; k < 8; k++) {
    for (let l = 0; l < 8; l++) {
      let sum = 0;
      for (let y = 0; y < 32; y++)
        for (let x = 0; x < 32; x++) sum += luma[y]![x]! * cosine(y, k) * cosine(x, l);
      low.push(sum);
    }
  }
  const sorted = [...low].sort((a, b) => a - b);
  const median = (sorted[31]! + sorted[32]!) / 2;
  const bits = low.map((value) => (value > median ? '1' : '0')).join('');
  return BigInt(`0b${bits}`).toString(16).padStart(16, '0');
}

const scene = (x: number, y: number): number =>
  128 + 60 * Math.sin(9 * x + 3 * y) + 40 * Math.cos(17 * y - 4 * x * x) + 20 * Math.sin(40 * x * y);

describe('the perceptual hash', () => {
  it('is what its definition says', () => {
    const noise = fc.uint8Array({ minLength: 64 * 64 * 3, maxLength: 64 * 64 * 3 });
    fc.assert(
      fc.property(noise, (pixels) => {
        const hash = hashOf(pixels, 64, 64);
        if (hash !== null) expect(hash).toBe(plainHash(pixels, 64));
      }),
      { numRuns: 10 },
    );
    expect(hashOf(picture(64, 64, scene), 64, 64)).toBe(plainHash(picture(64, 64, scene), 64));
  });

  it('is what its definition says at sizes that 32 does not divide', () => {
    // Sides that lie within 32 repeat pixels, and with them frequencies: which of equal ones is above the median is chance.
    const side = fc.integer({ min: 33, max: 100 });
    const sized = fc
      .tuple(side, side)
      .chain(([w, h]) =>
        fc.tuple(
          fc.constant([w, h] as const),
          fc.noShrink(fc.uint8Array({ minLength: w * h * 3, maxLength: w * h * 3 })),
        ),
      );
    fc.assert(
      fc.property(sized, ([[w, h], pixels]) => {
        const hash = hashOf(pixels, w, h);
        if (hash !== null) expect(hash).toBe(plainHash(pixels, w, h));
      }),
      { numRuns: 8 },
    );
    for (const [w, h] of [
      [341, 256],
      [256, 341],
      [700, 33],
    ] as const) {
      expect(hashOf(picture(w, h, scene), w, h)).toBe(plainHash(picture(w, h, scene), w, h));
    }
  });

  it('is nearly the same at any size and aspect ratio', () => {
    const hash = hashOf(picture(128, 128, scene), 128, 128) as string;
    for (const [w, h] of [
      [128, 96],
      [77, 50],
      [33, 31],
      [300, 200],
    ] as const) {
      expect(hammingDistance(hash, hashOf(picture(w, h, scene), w, h) as string)).toBeLessThanOrEqual(4);
    }
  });

  it('is far for another picture', () => {
    const other = picture(64, 64, (x, y) => 128 + 100 * Math.sin(30 * x) * Math.cos(5 * y));
    const hash = hashOf(picture(64, 64, scene), 64, 64) as string;
    expect(hammingDistance(hash, hashOf(other, 64, 64) as string)).toBeGreaterThan(10);
  });

  it.each([
    ['one colour', () => 200],
    ['hardly visible noise', (x: number, y: number) => 200 + ((x * 7919 + y * 104729) % 1 > 0.5 ? 1 : 0)],
  ])('does not exist for a picture of %s', (_, light) => {
    expect(hashOf(picture(40, 40, light), 40, 40)).toBeNull();
  });

  it('of a single pixel is none', () => {
    expect(hashOf(Uint8Array.of(1, 2, 3), 1, 1)).toBeNull();
  });
});
