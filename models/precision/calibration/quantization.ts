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

/** Where a tensor held nothing but zeros any scale is right; this one is far from the ends of float16, too. */
const SCALE_OF_ZEROS = 1 / 127;

/**
 * - `gpu`: int8 from −127 to 127 around zero, the only one that TensorRT takes.
 * - `cpu`: uint8 from 0 to 255 over just the range that occurs, widened to hold zero: after ReLU that is twice as fine,
 *   and ONNX Runtime's kernels for x86 and ARM want it.
 *
 * @param threshold the magnitude that the ends stand for, as a calibrator chose it.
 */
export function quantizationOf(
  seen: Pick<Magnitudes, 'min' | 'max'>,
  threshold: number,
  target: Target,
): Quantization {
  if (target === 'gpu')
    return {
      scale: Math.fround(threshold > 0 ? threshold / 127 : SCALE_OF_ZEROS),
      zeroPoint: 0,
      dtype: 'int8',
    };
  const low = Math.max(Math.min(seen.min, 0), -threshold);
  const high = Math.min(Math.max(seen.max, 0), threshold);
  const scale = Math.fround(high > low ? (high - low) / 255 : SCALE_OF_ZEROS);
  return { scale, zeroPoint: Math.max(0, Math.min(255, Math.round(-low / scale))), dtype: 'uint8' };
}
