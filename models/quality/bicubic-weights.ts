import type { GraphBuilder, Value } from '#models/onnx/graph-builder.ts';

/** The largest scale that comes up: 3 px that become 1, of a side that is much shorter than the other. */
const MAX_SCALE = 3;

/** The kernel reaches 2 px of the result to each side. */
const TAPS = 4 * MAX_SCALE + 1;

/**
 * Halves are rounded up by Pillow and to even by ONNX's Round. They are common (at a scale of 2 every weight is a multiple
 * of 1/256), so the weights are made larger by this share: it lifts a half over the edge and moves nothing else
 * by more than 1/4000 of a level.
 */
const HALF_UP = 2 ** -20;

/**
 * float32 `[N,2,to,from]`: how much each pixel of a side of `from` px weighs in each of its `to` px, as Pillow's `Image.resize` has it with
 * its default filter: bicubic (a = −0.5), stretched by the scale. `before` and `after` are float32 `[N,2,1,1]`, the content's sides.
 * Computed from the sizes, because a table for all of them would have 130 MB; first of those pixels alone that weigh something,
 * a tenth of all. Pixels of the result that are no content have some finite weights.
 *
 * Source: Pillow, src/libImaging/Resample.c (`precompute_coeffs`, `bicubic_filter`).
 */
export function bicubicWeights(
  g: GraphBuilder,
  before: Value,
  after: Value,
  from: number,
  to: number,
): Value {
  const scale = g.node('Div', [before, after]);
  const center = g.node('Mul', [scale, counting(g, [1, 1, to, 1], 0.5)]);
  const start = g.node('Sub', [center, g.node('Mul', [scale, g.float(2)])]);
  const first = g.node('Floor', [g.node('Add', [start, g.float(0.5)])]);
  const taps = g.node('Add', [first, counting(g, [1, 1, 1, TAPS], 0)]);
  const fromCenter = g.node('Sub', [taps, g.node('Sub', [center, g.float(0.5)])]);
  const distance = g.node('Abs', [g.node('Div', [fromCenter, scale])]);

  const isContent = g.node('And', [
    g.node('Less', [taps, before]),
    g.node('GreaterOrEqual', [taps, g.float(0)]),
  ]);
  const weights = g.node('Mul', [bicubic(g, distance), g.cast(isContent, 'float32')]);
  const sum = g.node('ReduceSum', [weights, g.ints(3)], { keepdims: 1 });
  const divisor = g.node('Max', [g.node('Mul', [sum, g.float(1 - HALF_UP)]), g.float(1e-6)]);
  const shares = g.node('Div', [weights, divisor]);

  // What lies outside weighs nothing: it may go anywhere.
  const places = g.cast(g.node('Clip', [taps, g.float(0), g.float(from - 1)]), 'int32');
  const batch = g.node('Shape', [before], { start: 0, end: 1 });
  const zeros = g.node('Expand', [g.float(0), g.node('Concat', [batch, g.ints(2, to, from)], { axis: 0 })]);
  return g.node('ScatterElements', [zeros, places, shares], { axis: 3, reduction: 'add' });
}

/**
 * A quarter of the bicubic kernel, in few steps: with p = max(1 − x/2, 0) and q = max(1 − x, 0) the kernel is
 * 4·(p − ½)·(p² − q·(q − ½)). HardSigmoid clips a linear function in one step.
 */
function bicubic(g: GraphBuilder, distance: Value): Value {
  const p = g.node('HardSigmoid', [distance], { alpha: { float: -0.5 }, beta: { float: 1 } });
  const q = g.node('HardSigmoid', [distance], { alpha: { float: -1 }, beta: { float: 1 } });
  const inner = g.node('Mul', [q, g.node('Sub', [q, g.float(0.5)])]);
  const factor = g.node('Sub', [g.node('Mul', [p, p]), inner]);
  return g.node('Mul', [g.node('Sub', [p, g.float(0.5)]), factor]);
}

/** `first`, `first + 1`, … along the axis that is longer than 1. */
function counting(g: GraphBuilder, shape: readonly number[], first: number): Value {
  const values = Array.from({ length: Math.max(...shape) }, (_, i) => i + first);
  return g.constant('float32', shape, values);
}
