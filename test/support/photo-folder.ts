import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';

/**
 * Writes `count` small JPEGs of noise over a gradient, each another picture, and among each ten of them one copy of
 * the first and one file that is no image.
 */
export async function writePhotos(folder: string, count: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (let i = 0; i < count; i++) {
    const name = join(folder, `${String(i).padStart(4, '0')}.jpg`);
    if (i % 10 === 9) await writeFile(name, `not an image, number ${i}`);
    else await writeFile(name, await photo(i % 10 === 8 ? 0 : i));
  }
}

async function photo(seed: number): Promise<Buffer> {
  const widthPx = 320;
  const heightPx = 240;
  const pixels = Buffer.alloc(widthPx * heightPx * 3);
  let state = (seed + 1) * 2654435761;
  for (let i = 0; i < pixels.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const cell = (Math.floor(i / 3 / 16) * 73 + Math.floor(i / 3 / widthPx / 16) * 151 + seed * 37) % 256;
    pixels[i] = (cell + (state >>> 27)) & 255;
  }
  return sharp(pixels, { raw: { width: widthPx, height: heightPx, channels: 3 } })
    .jpeg({ quality: 85 })
    .toBuffer();
}
