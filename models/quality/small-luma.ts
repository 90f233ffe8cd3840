import type { GraphBuilder, Value } from '#models/onnx/graph-builder.ts';
import { bicubicWeights } from './bicubic-weights.ts';
import { areaOf, type Content, contentMask, contentOf } from './content.ts';
import { LUMA_STEPS, luma } from './luma.ts';
import { SIDE_PX } from './tensor-size.ts';

/** CleanVision's MAX_RESOLUTION_FOR_BLURRY_DETECTION, in px. */
export const SMALL_SIDE_PX = 64;
const SMALL_AREA_PX = SMALL_SIDE_PX * SMALL_SIDE_PX;

/**
 * The picture as CleanVision looks at it for blur: at most 64 px a side, in whole levels of luma. Luma is taken before
 * shrinking and not after it, which rounds a little less and shrinks one band instead of three.
 */
export interface SmallLuma {
  /** float32 `[N,64,64]`, whole levels 0–255; anything outside the content. */
  readonly levels: Value;
  /** float32 `[N,64,64]`, 1 on the content. */
  readonly mask: Value;
  readonly content: Content;
  /** float32 `[N,1]`, in px. */
  readonly area: Value;
}

/**
 * `images` is uint8 `[N,128,128,3]`, `sides` float32 `[N,2]`: (height, width) of the content, in px. The longer side becomes
 * 64 px, a smaller picture keeps its size.
 */
export function smallLuma(g: GraphBuilder, images: Value, sides: Value): SmallLuma {
  const after = shrunk(g, sides);
  const axes = (values: Value): Value => g.node('Reshape', [values, g.ints(-1, 2, 1, 1)]);
  const weights = bicubicWeights(g, axes(sides), axes(after), SIDE_PX, SMALL_SIDE_PX);
  const [ofRows, ofColumns] = g
    .nodes('Split', [weights], 2, { axis: 1 })
    .map((one) => g.node('Squeeze', [one, g.ints(1)])) as [Value, Value];
  const low = g.node('MatMul', [ofRows, luma(g, images)]);
  const small = g.node('MatMul', [low, g.node('Transpose', [ofColumns], { perm: [0, 2, 1] })]);
  const content = contentOf(g, after);
  return {
    levels: toLevels(g, g.node('Mul', [small, g.float(1 / LUMA_STEPS)])),
    mask: contentMask(g, content, SMALL_SIDE_PX),
    content,
    area: areaOf(g, content),
  };
}

/** `[N,64,64]` as `[N,4096]`. */
export function flattened(g: GraphBuilder, values: Value): Value {
  return g.node('Reshape', [values, g.ints(-1, SMALL_AREA_PX)]);
}

/** float32 `[N,2]`, whole px, as Pillow and CleanVision round them. */
function shrunk(g: GraphBuilder, sides: Value): Value {
  const longer = g.node('ReduceMax', [sides], { axes: [1], keepdims: 1 });
  const exact = g.node('Div', [
    g.node('Mul', [sides, g.float(SMALL_SIDE_PX)]),
    g.node('Max', [longer, g.float(SMALL_SIDE_PX)]),
  ]);
  return g.node('Max', [g.node('Floor', [exact]), g.float(1)]);
}

function toLevels(g: GraphBuilder, values: Value): Value {
  return g.node('Clip', [g.node('Round', [values]), g.float(0), g.float(255)]);
}
