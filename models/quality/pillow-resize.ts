import type { GraphBuilder, Value } from '#models/onnx/graph-builder.ts';
import type { Content } from './content-mask.ts';

/**
 * Pillow rounds halves up and ONNX's Round to even. Halves are common (at a scale of 2 every weight is a multiple
 * of 1/256), so the weights are made larger by this share: it lifts a half over the edge and moves nothing else
 * by more than 1/4000 of a level.
 */
const HALF_UP = 2 ** -20;

/**
 * Shrinks the content of `planes` (float32 `[N,3,from,from]`, whole levels 0–255) into `[N,3,to,to]` as Pillow's
 * `Image.resize` does with its default filter: bicubic (a = −0.5) stretched by the scale, each pass rounded to
 * whole levels, the horizontal one first. `after` is the size of the content in the result; contents
 * that keep their size stay as they are.
 *
 * Source: Pillow, src/libImaging/Resample.c (`precompute_coeffs`, `bicubic_filter`, `clip8`).
 */
export function pillowResize(
  g: GraphBuilder,
  planes: Value,
  before: Content,
  after: Content,
  from: number,
  to: number,
): Value {
  const acrossX = bicubicWeights(g, before.width, after.width, [from, 1], [1, to]);
  const acrossY = bicubicWeights(g, before.height, after.height, [1, from], [to, 1]);
  const narrow = toLevels(g, g.node('MatMul', [planes, unsqueeze(g, acrossX)]));
  return toLevels(g, g.node('MatMul', [unsqueeze(g, acrossY), narrow]));
}

/**
 * The weight of each tap (source pixel) in each result pixel, `[N,from,to]` or `[N,to,from]` as the shapes of
 * the two index vectors say. Computed from the sizes, because a table for all of them would have 130 MB.
 */
function bicubicWeights(
  g: GraphBuilder,
  sizeBefore: Value,
  sizeAfter: Value,
  tapShape: readonly [number, number],
  resultShape: readonly [number, number],
): Value {
  const tapAxis = tapShape[0] > 1 ? 1 : 2;
  const tapCenter = centers(g, tapShape);
  const inverseScale = g.node('Div', [sizeAfter, sizeBefore]);
  // Padding must not be a tap: moved far out, it is beyond the support of every result pixel.
  const isPadding = g.node('Greater', [tapCenter, sizeBefore]);
  const scaledCenter = g.node('Where', [isPadding, g.float(1e4), g.node('Mul', [tapCenter, inverseScale])]);
  const distance = g.node('Abs', [g.node('Sub', [scaledCenter, centers(g, resultShape)])]);

  // The kernel in as few steps as possible: with p = max(1 − x/2, 0) and q = max(1 − x, 0) it is 4·(p − ½)·(p² − q·(q − ½)).
  // The factor 4 is divided out with the sum. HardSigmoid clips a linear function in one step.
  const p = g.node('HardSigmoid', [distance], { alpha: { float: -0.5 }, beta: { float: 1 } });
  const q = g.node('HardSigmoid', [distance], { alpha: { float: -1 }, beta: { float: 1 } });
  const inner = g.node('Mul', [q, g.node('Sub', [q, g.float(0.5)])]);
  const factor = g.node('Sub', [g.node('Mul', [p, p]), inner]);
  const weights = g.node('Mul', [g.node('Sub', [p, g.float(0.5)]), factor]);

  // A product with ones where the taps are rows: onnxruntime's ReduceSum over a middle axis adds in another order
  // when the batch is 1, and the last digit of a weight would depend on the batch.
  const sum =
    tapAxis === 1
      ? g.node('MatMul', [ones(g, [1, tapShape[0]]), weights])
      : g.node('ReduceSum', [weights, g.ints(2)], { keepdims: 1 });
  const divisor = g.node('Mul', [sum, g.float(1 - HALF_UP)]);
  // Result pixels beyond the content have no taps at all; they are masked out by whoever reads the result.
  return g.node('Div', [weights, g.node('Max', [divisor, g.float(1e-6)])]);
}

/** Pixel centres, 0.5 px from each pixel's start, along the axis of the shape that is longer than 1. */
function centers(g: GraphBuilder, shape: readonly [number, number]): Value {
  const length = Math.max(...shape);
  return g.constant(
    'float32',
    [1, ...shape],
    Array.from({ length }, (_, i) => i + 0.5),
  );
}

/** Rounded, half up thanks to {@link HALF_UP}, and clipped to 0–255. */
function toLevels(g: GraphBuilder, values: Value): Value {
  return g.node('Clip', [g.node('Round', [values]), g.float(0), g.float(255)]);
}

function ones(g: GraphBuilder, shape: readonly [number, number]): Value {
  return g.constant('float32', shape, new Array<number>(shape[0] * shape[1]).fill(1));
}

function unsqueeze(g: GraphBuilder, value: Value): Value {
  return g.node('Unsqueeze', [value, g.ints(1)]);
}
