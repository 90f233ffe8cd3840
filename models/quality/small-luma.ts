import type { GraphBuilder, Value } from '#models/onnx/graph-builder.ts';
import { areaOf, type Content, contentMask } from './content-mask.ts';
import { pillowResize } from './pillow-resize.ts';
import { SIDE_PX } from './tensor-size.ts';

/** CleanVision's MAX_RESOLUTION_FOR_BLURRY_DETECTION, in px. */
export const SMALL_SIDE_PX = 64;
const SMALL_AREA_PX = SMALL_SIDE_PX * SMALL_SIDE_PX;

/** The picture as CleanVision looks at it for blur: at most 64 px a side, in whole levels of luma. */
export interface SmallLuma {
  /** float32 `[N,64,64]`, whole levels 0–255; anything outside the content. */
  readonly levels: Value;
  /** float32 `[N,64,64]`, 1 on the content. */
  readonly mask: Value;
  readonly content: Content;
  /** float32 `[N,1]`, in px. */
  readonly area: Value;
}

/** `planes` is float32 `[N,3,128,128]` in whole levels. The longer side becomes 64 px, a smaller picture keeps its size. */
export function smallLuma(g: GraphBuilder, planes: Value, content: Content): SmallLuma {
  const longer = g.node('Max', [content.height, content.width, g.float(SMALL_SIDE_PX)]);
  const shrunk = (side: Value): Value => {
    const exact = g.node('Div', [g.node('Mul', [side, g.float(SMALL_SIDE_PX)]), longer]);
    return g.node('Max', [g.node('Floor', [exact]), g.float(1)]);
  };
  const small: Content = { height: shrunk(content.height), width: shrunk(content.width) };
  return {
    levels: lumaOf(g, pillowResize(g, planes, content, small, SIDE_PX, SMALL_SIDE_PX)),
    mask: contentMask(g, small, SMALL_SIDE_PX),
    content: small,
    area: areaOf(g, small),
  };
}

/** `[N,64,64]` as `[N,4096]`. */
export function flattened(g: GraphBuilder, values: Value): Value {
  return g.node('Reshape', [values, g.ints(-1, SMALL_AREA_PX)]);
}

/**
 * Pillow's `convert('L')`: (19595·R + 38470·G + 7471·B + 2¹⁵) >> 16. All sums are below 2²⁴, so float32 is exact.
 *
 * Source: Pillow, src/libImaging/Convert.c, `L24`.
 */
function lumaOf(g: GraphBuilder, planes: Value): Value {
  const bands = g.node('Reshape', [planes, g.ints(-1, 3, SMALL_AREA_PX)]);
  const weighted = g.node('MatMul', [g.constant('float32', [1, 3], [19595, 38470, 7471]), bands]);
  const rounded = g.node('Mul', [g.node('Add', [weighted, g.float(2 ** 15)]), g.float(2 ** -16)]);
  return g.node('Reshape', [g.node('Floor', [rounded]), g.ints(-1, SMALL_SIDE_PX, SMALL_SIDE_PX)]);
}
