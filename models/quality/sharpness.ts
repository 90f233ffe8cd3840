import type { GraphBuilder, Value } from '#models/onnx/graph-builder.ts';
import { SMALL_SIDE_PX, type SmallLuma } from './small-luma.ts';

/** Steps of about this many levels are noise; a picture without larger ones counts as not sharp. */
const NOISE_LEVELS = 4;

/** How far apart the two pixels of a wide step are, in px. */
const WIDE_STEP_PX = 4;

/**
 * float32 `[N,1]`, 0 to 1: the largest step in luma between neighbours as a share of the largest step over 4 px.
 * A crisp edge does all of its step within one pixel and gives nearly 1; an edge out of focus is a ramp
 * and gives ¼. How much of the picture is smooth does not matter: a sky over one crisp horizon is sharp, and so
 * is a face before a soft background. Looked at in 64 px, where noise and compression are averaged away.
 */
export function sharpness(g: GraphBuilder, luma: SmallLuma): Value {
  const narrow = largestStep(g, luma, 1);
  const wide = g.node('Max', [narrow, largestStep(g, luma, WIDE_STEP_PX)]);
  return g.node('Div', [narrow, g.node('Add', [wide, g.float(NOISE_LEVELS)])]);
}

/** float32 `[N,1]`: the largest difference of two content pixels `distance` px apart in a row or a column. */
function largestStep(g: GraphBuilder, luma: SmallLuma, distance: number): Value {
  const reduced = { axes: [1, 2], keepdims: 0 };
  const extremes = [1, 2].flatMap((axis) => {
    const slice = (value: Value, from: number, to: number): Value =>
      g.node('Slice', [value, g.ints(from), g.ints(to), g.ints(axis)]);
    const nearer = slice(luma.levels, 0, SMALL_SIDE_PX - distance);
    const farther = slice(luma.levels, distance, SMALL_SIDE_PX);
    // The content starts at the top left: where the farther pixel is content, so is the nearer one.
    const isContent = slice(luma.mask, distance, SMALL_SIDE_PX);
    const step = g.node('Mul', [g.node('Sub', [farther, nearer]), isContent]);
    return ['ReduceMax', 'ReduceMin'].map((extreme) => g.node('Abs', [g.node(extreme, [step], reduced)]));
  });
  return g.node('Unsqueeze', [g.node('Max', extremes), g.ints(1)]);
}
