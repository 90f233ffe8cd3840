import type { Magnitudes } from './magnitudes.ts';

/** What a quantized tensor is computed on: the formats that its runtime has fast arithmetic for. */
export const TARGETS = ['gpu', 'cpu'] as const;
export type Target = (typeof TARGETS)[number];

/** value ≈ (integer − zeroPoint) · scale. */
export interface Quantization {
  readonly scale: number;
  readonly zeroPoint: number;
  readonly dtype: 'int8' | 'uint8';
}

/** The integer that zero is where biases take the zero point in. */
const LOWEST = -128;

/** Where a tensor held nothing but zeros any scale is right; this one is far from the ends of float16, too. */
const SCALE_OF_ZEROS = 1 / 127;

/**
 * - `gpu`: int8 from −127 to 127 around zero, the only one that TensorRT takes; from −128 to 127 over the range from zero on
 *   where biases take the zero point in.
 * - `cpu`: uint8 from 0 to 255 over just the range that occurs, widened to hold zero: after ReLU that is twice as fine,
 *   and ONNX Runtime's kernels for x86 and ARM want it.
 *
 * @param threshold the magnitude that the ends stand for, as a calibrator chose it.
 * @param isAbsorbed the zero point is taken in by biases; no value is below zero.
 */
export function quantizationOf(
  seen: Pick<Magnitudes, 'min' | 'max'>,
  threshold: number,
  target: Target,
  isAbsorbed = false,
): Quantization {
  if (target === 'gpu') {
    const [steps, zeroPoint] = isAbsorbed ? [255, LOWEST] : [127, 0];
    const scale = Math.fround(threshold > 0 ? threshold / steps : SCALE_OF_ZEROS);
    return { scale, zeroPoint, dtype: 'int8' };
  }
  const low = Math.max(Math.min(seen.min, 0), -threshold);
  const high = Math.min(Math.max(seen.max, 0), threshold);
  const scale = Math.fround(high > low ? (high - low) / 255 : SCALE_OF_ZEROS);
  return { scale, zeroPoint: Math.max(0, Math.min(255, Math.round(-low / scale))), dtype: 'uint8' };
}

/** The same range around zero: where a zero point cannot be taken in after all, as a layer beside it stays float. */
export function aroundZero(range: Quantization): Quantization {
  if (range.zeroPoint === 0) return range;
  return { scale: Math.fround((range.scale * 255) / 127), zeroPoint: 0, dtype: 'int8' };
}
