import { bicubicTaps, type GrayImage, type RgbImage } from './pillow.ts';
import { cleanVisionBlurSize } from './quality-reference.ts';

/** What `quality` looks at of its input, written from its definition and with nothing of its code. */

/** The pixels whose colors are counted: up to 64 columns and rows, those in the middle of equal parts of a side. */
export function countedPixelsOf({ widthPx, heightPx, data }: RgbImage): RgbImage {
  const [columns, rows] = [middlesOf(widthPx), middlesOf(heightPx)];
  const pixels = rows.flatMap((y) =>
    columns.flatMap((x) => {
      const at = (y * widthPx + x) * 3;
      return [...data.subarray(at, at + 3)];
    }),
  );
  return { widthPx: columns.length, heightPx: rows.length, data: Uint8Array.from(pixels) };
}

function middlesOf(sidePx: number): number[] {
  const counted = Math.min(sidePx, 64);
  return Array.from({ length: counted }, (_, i) => Math.floor(((i + 0.5) * sidePx) / counted));
}

/** Luma of at most 64 px a side: (77·R + 150·G + 29·B) / 256, shrunk as Pillow does it and rounded only then. */
export function smallLumaFirstOf(image: RgbImage): GrayImage {
  const { widthPx, heightPx } = cleanVisionBlurSize(image);
  const lines = Array.from({ length: image.heightPx }, (_, y) =>
    shrunk(
      Array.from({ length: image.widthPx }, (_, x) => {
        const [r, g, b] = image.data.subarray((y * image.widthPx + x) * 3) as unknown as number[];
        return (77 * r! + 150 * g! + 29 * b!) / 256;
      }),
      widthPx,
    ),
  );
  const data = new Uint8Array(widthPx * heightPx);
  for (let x = 0; x < widthPx; x++) {
    const column = shrunk(
      lines.map((line) => line[x]!),
      heightPx,
    );
    for (const [y, level] of column.entries())
      data[y * widthPx + x] = Math.min(Math.max(Math.floor(level + 0.5), 0), 255);
  }
  return { widthPx, heightPx, data };
}

function shrunk(values: readonly number[], after: number): number[] {
  return Array.from({ length: after }, (_, at) => {
    const { first, weights } = bicubicTaps(values.length, after, at);
    return weights.reduce((sum, weight, k) => sum + weight * values[first + k]!, 0);
  });
}
