import type { GraphBuilder, Value } from '#models/onnx/graph-builder.ts';
import { AREA_PX } from './tensor-size.ts';

/**
 * float32 `[N,1,128·128]`, in levels 0–255: √(0.241·R² + 0.691·G² + 0.068·B²).
 *
 * Source: CleanVision, `calculate_brightness`; the weights are those of the HSP colour model (Darel Rex Finley).
 */
export function brightness(g: GraphBuilder, bands: Value): Value {
  const flat = g.node('Reshape', [bands, g.ints(-1, 3, AREA_PX)]);
  const weights = g.constant('float32', [1, 3], [0.241, 0.691, 0.068]);
  return g.node('Sqrt', [g.node('MatMul', [weights, g.node('Mul', [flat, flat])])]);
}
