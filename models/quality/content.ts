import type { GraphBuilder, Value } from '#models/onnx/graph-builder.ts';

/** The part of a padded square that holds a picture; it starts at the top left. Sides are float32 `[N,1,1]`, in px. */
export interface Content {
  readonly height: Value;
  readonly width: Value;
}

/** @param sides float32 `[N,2]`: (height, width). */
export function contentOf(g: GraphBuilder, sides: Value): Content {
  const side = (column: number): Value => {
    const one = g.node('Slice', [sides, g.ints(column), g.ints(column + 1), g.ints(1)]);
    return g.node('Reshape', [one, g.ints(-1, 1, 1)]);
  };
  return { height: side(0), width: side(1) };
}

/** float32 `[N,1]`: how many pixels the content has. */
export function areaOf(g: GraphBuilder, content: Content): Value {
  return g.node('Reshape', [g.node('Mul', [content.height, content.width]), g.ints(-1, 1)]);
}

/**
 * float32 `[N,side,side]`: 1 on the content, 0 on the padding. `inset` leaves out that many pixels at each edge.
 * Built from two vectors, so that only one step works on the whole area.
 */
export function contentMask(g: GraphBuilder, content: Content, side: number, inset = 0): Value {
  const position = Array.from({ length: side }, (_, i) => i);
  const within = (length: Value, shape: number[]): Value => {
    const index = g.constant('float32', shape, position);
    const below = g.node('Less', [index, inset === 0 ? length : g.node('Sub', [length, g.float(inset)])]);
    if (inset === 0) return g.cast(below, 'float32');
    const from = g.node('Greater', [index, g.float(inset - 1)]);
    return g.cast(g.node('And', [below, from]), 'float32');
  };
  return g.node('Mul', [within(content.height, [1, side, 1]), within(content.width, [1, 1, side])]);
}
