import type { GraphBuilder, Value } from '#models/onnx/graph-builder.ts';

/**
 * float32 `[N,1,n]`, in levels 0–255: √(0.241·R² + 0.691·G² + 0.068·B²). `bands` is float32 `[N,3,n]` in levels.
 *
 * Source: CleanVision, `calculate_brightness`; the weights are those of the HSP colour model (Darel Rex Finley).
 */
export function brightness(g: GraphBuilder, bands: Value): Value {
  const weights = g.constant('float32', [1, 3], [0.241, 0.691, 0.068]);
  return g.node('Sqrt', [g.node('MatMul', [weights, g.node('Mul', [bands, bands])])]);
}
