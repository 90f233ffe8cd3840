import type { GraphBuilder, Value } from '#models/onnx/graph-builder.ts';

/**
 * float32 `[N,bins]`: how often each bin occurs in each row of `indices` (int32 `[N,n]`), each occurrence counting
 * its weight in `weights` (float32 `[N,n]`).
 *
 * ScatterElements with `add`: 0.15 ms per image for 128 × 128 pixels of three bands on one thread, where a
 * product of two one-hot nibbles takes 0.7 ms (uint8) or 1.7 ms (float32). The counts are whole numbers below
 * 2²⁴, so the order of the additions cannot change them.
 */
export function histogram(g: GraphBuilder, indices: Value, weights: Value, bins: number): Value {
  const batch = g.node('Shape', [indices], { start: 0, end: 1 });
  const shape = g.node('Concat', [batch, g.ints(bins)], { axis: 0 });
  const zeros = g.node('Expand', [g.float(0), shape]);
  return g.node('ScatterElements', [zeros, indices, weights], { axis: 1, reduction: 'add' });
}
