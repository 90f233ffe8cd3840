import type { GraphBuilder, Value } from '#models/onnx/graph-builder.ts';
import { areaOf, contentMask, contentOf } from './content.ts';
import { SIDE_PX } from './tensor-size.ts';

/** At most so many columns, and so many rows, have their colors counted. */
const COUNTED_SIDE_PX = 64;
const COUNTED_PX = COUNTED_SIDE_PX * COUNTED_SIDE_PX;

/**
 * Pixels whose colors stand for all: up to 64 columns and 64 rows, spread evenly over the picture. They are taken as they are
 * and not averaged, so their distribution is that of all pixels, but for chance: among 4096 a share of 1 % is known to
 * 0.16 %. Counting is what this model spends most of its time with, and of a quarter it takes a quarter.
 */
export interface CountedPixels {
  /** uint8 `[N,3,64·64]`, band after band; anything where the mask is 0. */
  readonly bands: Value;
  /** float32 `[N,64·64]`, 1 for each pixel that counts. */
  readonly mask: Value;
  /** float32 `[N,1]`: how many count. */
  readonly area: Value;
}

/** `images` is uint8 `[N,128,128,3]`, `sides` float32 `[N,2]`: (height, width) of the content, in px. */
export function countedPixels(g: GraphBuilder, images: Value, sides: Value): CountedPixels {
  const counted = g.node('Min', [sides, g.float(COUNTED_SIDE_PX)]);
  const [rows, columns] = g.nodes('Split', [positions(g, sides, counted)], 2, { axis: 1 }) as [Value, Value];
  // Whole rows first: few long pieces of memory are moved and not many short ones.
  const ofRows = take(g, images, rows);
  const ofColumns = take(g, g.node('Transpose', [ofRows], { perm: [0, 2, 3, 1] }), columns);
  const bands = g.node('Transpose', [ofColumns], { perm: [0, 2, 1, 3] });
  const content = contentOf(g, counted);
  // What was taken lies column by column, and so does the mask.
  const mask = contentMask(g, { height: content.width, width: content.height }, COUNTED_SIDE_PX);
  return {
    bands: g.node('Reshape', [bands, g.ints(-1, 3, COUNTED_PX)]),
    mask: g.node('Reshape', [mask, g.ints(-1, COUNTED_PX)]),
    area: areaOf(g, content),
  };
}

/** int64 `[N,2,64]`: which rows, and which columns; those in the middle of `counted` equal parts of a side. */
function positions(g: GraphBuilder, sides: Value, counted: Value): Value {
  const middles = g.constant(
    'float32',
    [1, 1, COUNTED_SIDE_PX],
    Array.from({ length: COUNTED_SIDE_PX }, (_, i) => i + 0.5),
  );
  const part = g.node('Unsqueeze', [g.node('Div', [sides, counted]), g.ints(2)]);
  const inside = g.node('Min', [g.node('Mul', [middles, part]), g.float(SIDE_PX - 1)]);
  return g.cast(inside, 'int64');
}

/** Of each `[from,…]` of `[N,from,…]` those at its `[1,to]` of `[N,1,to]`: `[N,to,…]`. */
function take(g: GraphBuilder, values: Value, at: Value): Value {
  const indices = g.node('Reshape', [at, g.ints(0, COUNTED_SIDE_PX, 1)]);
  return g.node('GatherND', [values, indices], { batch_dims: 1 });
}
