import type { GraphBuilder, Value } from '#models/onnx/graph-builder.ts';
import type { CountedPixels } from './counted-pixels.ts';

/**
 * float32 `[N,1]`, in levels 0–255: the mean difference between a pixel's strongest and weakest band. `bands` is
 * float32 `[N,3,n]` in whole levels.
 *
 * The mean rather than a percentile, because shrinking keeps a mean: where 0.8 % of the pixels are colored in full
 * resolution, a few more are after shrinking, and a percentile there jumps from nothing to a strong color.
 */
export function chroma(g: GraphBuilder, bands: Value, { mask, area }: CountedPixels): Value {
  const reduced = { axes: [1], keepdims: 0 };
  const spread = g.node('Sub', [
    g.node('ReduceMax', [bands], reduced),
    g.node('ReduceMin', [bands], reduced),
  ]);
  const sum = g.node('ReduceSum', [g.node('Mul', [spread, mask]), g.ints(1)], { keepdims: 1 });
  return g.node('Div', [sum, area]);
}
