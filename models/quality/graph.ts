import { GraphBuilder, type Value } from '#models/onnx/graph-builder.ts';
import { blurriness } from './blurriness.ts';
import { brightness } from './brightness.ts';
import { chroma } from './chroma.ts';
import { type CountedPixels, countedPixels } from './counted-pixels.ts';
import { entropy } from './entropy.ts';
import { histogram } from './histogram.ts';
import { percentiles } from './percentile.ts';
import { sharpness } from './sharpness.ts';
import { smallLuma } from './small-luma.ts';
import { SIDE_PX } from './tensor-size.ts';

/** The oldest opset whose ScatterElements can add; TensorRT and every onnxruntime in use read it. */
const OPSET = 16;

/** Brightness is counted in eighths of a level, so its percentiles are within 1/4080 of exact ones. */
const BINS_PER_LEVEL = 8;
const BRIGHTNESS_BLOCKS = 32;
const BRIGHTNESS_BINS = BRIGHTNESS_BLOCKS * 64;

/** The scores, in the order of the columns of the output. */
export const QUALITY_SCORES = ['dark', 'bright', 'information', 'blur', 'sharpness', 'chroma'] as const;

/**
 * The model `quality` as the bytes of an ONNX file. Inputs: `images` uint8 `[N,128,128,3]` and `content_size`
 * int32 `[N,2]`, (height, width) in px of the picture at the top left of each tensor. Output: `scores` float32
 * `[N,6]`, {@link QUALITY_SCORES}. No score depends on the padding or on the other images of the batch.
 */
export function buildQualityGraph(): Uint8Array {
  const g = new GraphBuilder('quality', OPSET);
  const images = g.input('images', 'uint8', ['N', SIDE_PX, SIDE_PX, 3]);
  const contentSize = g.input('content_size', 'int32', ['N', 2]);

  // Batches are padded with zeros, and no pixel beyond the tensor may be asked for.
  const sides = g.node('Clip', [g.cast(contentSize, 'float32'), g.float(1), g.float(SIDE_PX)]);
  const counted = countedPixels(g, images, sides);
  const bands = g.cast(counted.bands, 'float32');
  const [p5, p99] = brightnessPercentiles(g, brightness(g, bands), counted, [0.05, 0.99]);
  const luma = smallLuma(g, images, sides);
  const scores: Record<(typeof QUALITY_SCORES)[number], Value> = {
    dark: p99!,
    bright: p5!,
    information: entropy(g, counted),
    blur: blurriness(g, luma),
    sharpness: sharpness(g, luma),
    chroma: chroma(g, bands, counted),
  };
  const columns = QUALITY_SCORES.map((score) => scores[score]);
  g.output('scores', 'float32', ['N', columns.length], g.node('Concat', columns, { axis: 1 }));
  return g.toBytes();
}

/** float32 `[N,1]` per quantile, 0–1: CleanVision's brightness percentiles. */
function brightnessPercentiles(
  g: GraphBuilder,
  bright: Value,
  { mask, area }: CountedPixels,
  quantiles: readonly number[],
): Value[] {
  const eighths = g.node('Add', [g.node('Mul', [bright, g.float(BINS_PER_LEVEL)]), g.float(0.5)]);
  const indices = g.node('Squeeze', [g.cast(eighths, 'int32'), g.ints(1)]);
  const counts = histogram(g, indices, mask, BRIGHTNESS_BINS);
  return percentiles(g, counts, area, BRIGHTNESS_BLOCKS, quantiles).map((bins) =>
    g.node('Mul', [bins, g.float(1 / (255 * BINS_PER_LEVEL))]),
  );
}
