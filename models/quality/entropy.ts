import type { GraphBuilder, Value } from '#models/onnx/graph-builder.ts';
import type { CountedPixels } from './counted-pixels.ts';
import { histogram } from './histogram.ts';

/**
 * float32 `[N,1]`, in bits, 0 to log2(768): the entropy of the histograms of the three bands, taken as one
 * distribution over 768 values.
 *
 * Source: Pillow, `Image.entropy`, which CleanVision's low-information check calls.
 */
export function entropy(g: GraphBuilder, { bands, mask, area }: CountedPixels): Value {
  // One histogram per band: all three in one would need the mask three times over and more memory than caches have.
  const histograms = g.nodes('Split', [g.cast(bands, 'int32')], 3, { axis: 1 }).map((band) => {
    const levels = g.node('Squeeze', [band, g.ints(1)]);
    return histogram(g, levels, mask, 256);
  });
  const counts = g.node('Concat', histograms, { axis: 1 });
  const shares = g.node('Div', [counts, g.node('Mul', [area, g.float(3)])]);
  // An empty bin adds 0 · log(tiny) = 0. Log works on whole rows of 768 only: on one number per image its last digit
  // would depend on where in a vector register the image comes to lie, and so on its place in the batch.
  const logs = g.node('Log', [g.node('Max', [shares, g.float(1e-9)])]);
  const negated = g.node('ReduceSum', [g.node('Mul', [shares, logs]), g.ints(1)], { keepdims: 1 });
  return g.node('Mul', [negated, g.float(-Math.LOG2E)]);
}
