import type { GraphBuilder, Value } from '#models/onnx/graph-builder.ts';
import { contentMask } from './content.ts';
import { histogram } from './histogram.ts';
import { flattened, SMALL_SIDE_PX, type SmallLuma } from './small-luma.ts';

/** A standard deviation `d` counts as 1 − e^(−0.01·d). */
const NORMALIZING_FACTOR = 0.01;

/** Tone spreads up to this say nothing about blur and count as 0. */
const COLOR_THRESHOLD = 0.18;

/**
 * float32 `[N,1]`, 0 (blurred) to 1 (sharp): min(u + v, 1), where u comes from the standard deviation of the
 * edges of the picture at 64 px and v from that of its tone histogram.
 *
 * Source: CleanVision, cleanvision/issue_managers/image_property.py, `BlurrinessProperty`.
 */
export function blurriness(g: GraphBuilder, luma: SmallLuma): Value {
  const edges = g.node('Mul', [findEdges(g, luma), luma.mask]);
  const edgeScore = saturate(g, standardDeviation(g, flattened(g, edges), luma.area));

  const tones = g.cast(flattened(g, luma.levels), 'int32');
  const counts = histogram(g, tones, flattened(g, luma.mask), 256);
  const toneScore = saturate(g, standardDeviation(g, counts, g.float(256)));
  const counted = g.cast(g.node('Greater', [toneScore, g.float(COLOR_THRESHOLD)]), 'float32');

  const sum = g.node('Add', [edgeScore, g.node('Mul', [toneScore, counted])]);
  return g.node('Min', [sum, g.float(1)]);
}

/** Pillow's `ImageFilter.FIND_EDGES`: clipped to 0–255 inside, the outermost pixels kept as they are. */
function findEdges(g: GraphBuilder, { levels, content }: SmallLuma): Value {
  // 9·pixel − the sum of its 3 × 3 neighbourhood, the sum as two products: cheaper than Conv for a single channel.
  const sums = g.node('MatMul', [neighbors(g), g.node('MatMul', [levels, neighbors(g)])]);
  const filtered = g.node('Sub', [g.node('Mul', [levels, g.float(9)]), sums]);
  const clipped = g.node('Clip', [filtered, g.float(0), g.float(255)]);
  const inside = contentMask(g, content, SMALL_SIDE_PX, 1);
  const change = g.node('Mul', [g.node('Sub', [clipped, levels]), inside]);
  return g.node('Add', [levels, change]);
}

/** `[64,64]`, 1 on the diagonal and beside it. */
function neighbors(g: GraphBuilder): Value {
  const side = SMALL_SIDE_PX;
  const band = Array.from({ length: side * side }, (_, i) =>
    Math.abs((i % side) - Math.floor(i / side)) <= 1 ? 1 : 0,
  );
  return g.constant('float32', [side, side], band);
}

/** Of `count` values, `[N,1]`; what `values` `[N,n]` holds beyond them must be 0. */
function standardDeviation(g: GraphBuilder, values: Value, count: Value): Value {
  const sum = g.node('ReduceSum', [values, g.ints(1)], { keepdims: 1 });
  const squares = g.node('ReduceSum', [g.node('Mul', [values, values]), g.ints(1)], { keepdims: 1 });
  const mean = g.node('Div', [sum, count]);
  const variance = g.node('Sub', [g.node('Div', [squares, count]), g.node('Mul', [mean, mean])]);
  return g.node('Sqrt', [g.node('Relu', [variance])]);
}

function saturate(g: GraphBuilder, deviation: Value): Value {
  const falling = g.node('Exp', [g.node('Mul', [deviation, g.float(-NORMALIZING_FACTOR)])]);
  return g.node('Sub', [g.float(1), falling]);
}
