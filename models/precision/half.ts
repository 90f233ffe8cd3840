const LARGEST_HALF = 65504;

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);

/**
 * The bits of the nearest IEEE 754 half float, ties to even. What is beyond the largest one (65504) becomes that one, so
 * that a mask of −1e9 stays a number; NaN stays NaN.
 */
export function toHalf(value: number): number {
  f32[0] = Math.max(-LARGEST_HALF, Math.min(LARGEST_HALF, value));
  const bits = u32[0] as number;
  const sign = (bits >>> 16) & 0x8000;
  if (Number.isNaN(value)) return sign | 0x7e00;
  const magnitude = bits & 0x7fffffff;
  // Below the smallest normal half float (2⁻¹⁴) the step is 2⁻²⁴.
  if (magnitude < 0x38800000) return sign | roundHalfEven(Math.abs(f32[0] as number) * 2 ** 24);
  const rounded = magnitude + 0x0fff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
