import sharp, { type Sharp } from 'sharp';
import { expect } from 'vitest';
import { type PreprocessedImage, preprocessImage } from '#adapters/image/preprocess-image.ts';
import { ImageLimits } from '#core/limits.ts';
import { PreprocessSpec } from '#core/preprocess-spec.ts';

export const limits = ImageLimits.parse({});
export const squash8 = PreprocessSpec.parse({
  widthPx: 8,
  heightPx: 8,
  resize: { mode: 'squash' },
  kernel: 'linear',
  color: 'srgb',
  background: [255, 0, 255],
});

export async function preprocessed(
  bytes: Buffer,
  spec = squash8,
): Promise<{ image: PreprocessedImage; row: Uint8Array }> {
  const row = new Uint8Array(spec.widthPx * spec.heightPx * 3).fill(77);
  const outcome = await preprocessImage(bytes, spec, limits, row);
  if (!outcome.ok) throw new Error(`${outcome.refusal.code}: ${outcome.refusal.detail}`);
  return { image: outcome.image, row };
}

/** The pixel at (x, y) of a row. */
export const at = (row: Uint8Array, x: number, y: number, widthPx = 8): number[] => [
  ...row.subarray(3 * (y * widthPx + x), 3 * (y * widthPx + x) + 3),
];

/** A picture of four quarters: red, green above blue, gray. */
export function quarters(widthPx: number, heightPx: number): Sharp {
  const pixels = Buffer.alloc(widthPx * heightPx * 3);
  for (let y = 0; y < heightPx; y++) {
    for (let x = 0; x < widthPx; x++) {
      const color =
        y < heightPx / 2
          ? x < widthPx / 2
            ? [200, 0, 0]
            : [0, 200, 0]
          : x < widthPx / 2
            ? [0, 0, 200]
            : [99, 99, 99];
      pixels.set(color, 3 * (y * widthPx + x));
    }
  }
  return sharp(pixels, { raw: { width: widthPx, height: heightPx, channels: 3 } });
}

export function expectNear(actual: readonly number[], expected: readonly number[], levels = 6): void {
  for (const [i, value] of expected.entries())
    expect(Math.abs((actual[i] as number) - value)).toBeLessThanOrEqual(levels);
}

/** A 24-bit BMP, rows from the bottom up. */
export function bmp(widthPx: number, heightPx: number, color: readonly [number, number, number]): Buffer {
  const rowBytes = Math.ceil((widthPx * 3) / 4) * 4;
  const file = Buffer.alloc(54 + rowBytes * heightPx);
  file.write('BM', 0, 'latin1');
  file.writeUInt32LE(file.length, 2);
  file.writeUInt32LE(54, 10);
  file.writeUInt32LE(40, 14);
  file.writeInt32LE(widthPx, 18);
  file.writeInt32LE(heightPx, 22);
  file.writeUInt16LE(1, 26);
  file.writeUInt16LE(24, 28);
  for (let y = 0; y < heightPx; y++) {
    for (let x = 0; x < widthPx; x++) file.set([color[2], color[1], color[0]], 54 + y * rowBytes + 3 * x);
  }
  return file;
}
