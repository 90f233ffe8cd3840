/** An 8-bit RGB picture, row by row, three bytes a pixel. */
export interface RgbImage {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly data: Uint8Array;
}

/** An 8-bit picture of one band. */
export interface GrayImage {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly data: Uint8Array;
}

/**
 * Pillow's `Image.resize` with its default filter: bicubic with antialias, in two passes of whole levels.
 *
 * Source: Pillow, src/libImaging/Resample.c.
 */
export function resizeAsPillow(image: RgbImage, size: { widthPx: number; heightPx: number }): RgbImage {
  const { widthPx, heightPx } = size;
  const narrow = new Uint8Array(widthPx * image.heightPx * 3);
  resampleLines(image.data, narrow, {
    lines: image.heightPx,
    before: image.widthPx,
    after: widthPx,
    offsetOf: (line, at, sideLength) => (line * sideLength + at) * 3,
  });
  const result = new Uint8Array(widthPx * heightPx * 3);
  resampleLines(narrow, result, {
    lines: widthPx,
    before: image.heightPx,
    after: heightPx,
    offsetOf: (line, at) => (at * widthPx + line) * 3,
  });
  return { widthPx, heightPx, data: result };
}

interface Pass {
  readonly lines: number;
  readonly before: number;
  readonly after: number;
  readonly offsetOf: (line: number, at: number, sideLength: number) => number;
}

function resampleLines(from: Uint8Array, to: Uint8Array, { lines, before, after, offsetOf }: Pass): void {
  for (let at = 0; at < after; at++) {
    const { first, weights } = bicubicTaps(before, after, at);
    for (let line = 0; line < lines; line++) {
      let r = 0.5;
      let g = 0.5;
      let b = 0.5;
      for (let k = 0; k < weights.length; k++) {
        const offset = offsetOf(line, first + k, before);
        const weight = weights[k]!;
        r += from[offset]! * weight;
        g += from[offset + 1]! * weight;
        b += from[offset + 2]! * weight;
      }
      const target = offsetOf(line, at, after);
      to[target] = clip8(r);
      to[target + 1] = clip8(g);
      to[target + 2] = clip8(b);
    }
  }
}

/** Which of `before` pixels pixel `at` of `after` is made of, and their weights. */
export function bicubicTaps(before: number, after: number, at: number): { first: number; weights: number[] } {
  if (before === after) return { first: at, weights: [1] };
  const scale = before / after;
  const stretch = Math.max(scale, 1);
  const center = (at + 0.5) * scale;
  const first = Math.max(Math.trunc(center - 2 * stretch + 0.5), 0);
  const end = Math.min(Math.trunc(center + 2 * stretch + 0.5), before);
  const weights = Array.from({ length: end - first }, (_, k) =>
    bicubic((first + k + 0.5 - center) / stretch),
  );
  const sum = weights.reduce((total, weight) => total + weight, 0);
  // Pillow's fixed point, which decides how halves are rounded.
  return { first, weights: weights.map((weight) => Math.round((weight / sum) * 2 ** 22) / 2 ** 22) };
}

function bicubic(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

/** Pillow's `convert('L')`. Source: Pillow, src/libImaging/Convert.c, `L24`. */
export function toLuma({ widthPx, heightPx, data }: RgbImage): GrayImage {
  const luma = new Uint8Array(widthPx * heightPx);
  for (let i = 0; i < luma.length; i++) {
    luma[i] = (data[3 * i]! * 19595 + data[3 * i + 1]! * 38470 + data[3 * i + 2]! * 7471 + 0x8000) >> 16;
  }
  return { widthPx, heightPx, data: luma };
}

/** Pillow's `ImageFilter.FIND_EDGES`: the outermost pixels are kept. Source: Pillow, src/libImaging/Filter.c. */
export function findEdges({ widthPx, heightPx, data }: GrayImage): GrayImage {
  const edges = data.slice();
  for (let y = 1; y < heightPx - 1; y++) {
    for (let x = 1; x < widthPx - 1; x++) {
      let neighborhood = 0;
      for (let dy = -1; dy <= 1; dy++) {
        for (let dx = -1; dx <= 1; dx++) neighborhood += data[(y + dy) * widthPx + x + dx]!;
      }
      edges[y * widthPx + x] = clip8(9 * data[y * widthPx + x]! - neighborhood);
    }
  }
  return { widthPx, heightPx, data: edges };
}

/** How often each of the 256 levels occurs. */
export function histogramOf(levels: Uint8Array): Float64Array {
  const counts = new Float64Array(256);
  for (const level of levels) counts[level]! += 1;
  return counts;
}

function clip8(level: number): number {
  return Math.min(Math.max(Math.floor(level), 0), 255);
}
