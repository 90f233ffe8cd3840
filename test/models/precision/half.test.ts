import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHalf } from '#models/precision/half.ts';

/** The value of a half float, by its definition (IEEE 754, binary16). */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

describe('half floats', () => {
  it('come back as they were, all of them', () => {
    for (let bits = 0; bits < 0x7c00; bits++) {
      expect(toHalf(fromHalf(bits))).toBe(bits);
      expect(toHalf(-fromHalf(bits)) & 0x7fff).toBe(bits);
    }
  });

  it('are the nearest ones, and the even one of two', () => {
    fc.assert(
      fc.property(fc.float({ min: -65504, max: 65504, noNaN: true }), (value) => {
        const bits = toHalf(value);
        const error = Math.abs(fromHalf(bits) - value);
        for (const other of [bits - 1, bits + 1]) {
          if ((other & 0x7fff) >= 0x7c00 || ((other ^ bits) & 0x8000) !== 0) continue;
          const otherError = Math.abs(fromHalf(other) - value);
          expect(error).toBeLessThanOrEqual(otherError);
          if (error === otherError) expect(bits % 2).toBe(0);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('stay finite where a number is too large, and NaN where it is none', () => {
    expect(fromHalf(toHalf(1e9))).toBe(65504);
    expect(fromHalf(toHalf(-Infinity))).toBe(-65504);
    expect(fromHalf(toHalf(Number.NaN))).toBeNaN();
  });
});
