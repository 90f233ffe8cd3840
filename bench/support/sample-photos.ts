import { link, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';

const DISTINCT = 8;
/** Sensor noise, as a share of the full range: with it a 12-megapixel photo has about 3 MB, as a phone makes it. */
const GRAIN = 0.11;

/** A JPEG (quality 85, 4:2:0) with the statistics of a photograph: soft shapes at every scale, and some grain. */
export async function samplePhoto(megapixels: number, seed: number): Promise<Buffer> {
  const widthPx = Math.round(Math.sqrt((megapixels * 1e6 * 4) / 3));
  const heightPx = Math.round((widthPx * 3) / 4);
  // Octaves of smoothed noise, each half as strong and twice as fine: a 1/f spectrum, as natural images have.
  const octaves = [8, 16, 32, 64, 128, 256, 512, 1024].filter((side) => side <= widthPx);
  const light = new Float32Array(widthPx * heightPx * 3).fill(128);
  for (const [octave, side] of octaves.entries()) {
    const layer = await noiseLayer(side, widthPx, heightPx, seed + side);
    const strength = 0.62 ** octave;
    for (let i = 0; i < light.length; i++)
      light[i] = (light[i] as number) + ((layer[i] as number) - 128) * strength;
  }
  const pixels = new Uint8ClampedArray(light.length);
  let grain = seed;
  for (let i = 0; i < pixels.length; i++) {
    if (i % 3 === 0) grain = (Math.imul(grain, 1664525) + 1013904223) >>> 0;
    pixels[i] = (light[i] as number) + ((grain >>> 24) - 128) * GRAIN;
  }
  return sharp(pixels, { raw: { width: widthPx, height: heightPx, channels: 3 } })
    .jpeg({ quality: 85 })
    .toBuffer();
}

async function noiseLayer(side: number, widthPx: number, heightPx: number, seed: number): Promise<Buffer> {
  const rows = Math.ceil((side * 3) / 4);
  const small = new Uint8Array(side * rows * 3);
  let state = (seed * 2654435761) >>> 0;
  for (let i = 0; i < small.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    small[i] = state >>> 24;
  }
  return sharp(small, { raw: { width: side, height: rows, channels: 3 } })
    .resize(widthPx, heightPx, { fit: 'fill', kernel: 'cubic' })
    .raw()
    .toBuffer();
}

/** Fills a folder with `images` photos; only a few are distinct, the others are links to them. */
export async function writeSamplePhotos(
  folder: string,
  { megapixels, images }: { megapixels: number; images: number },
): Promise<{ bytesPerImage: number }> {
  await mkdir(folder, { recursive: true });
  const name = (i: number): string => join(folder, `${String(i).padStart(6, '0')}.jpg`);
  let bytes = 0;
  for (let i = 0; i < Math.min(DISTINCT, images); i++) {
    const photo = await samplePhoto(megapixels, i + 1);
    bytes += photo.length;
    await writeFile(name(i), photo);
  }
  for (let i = DISTINCT; i < images; i++) await link(name(i % DISTINCT), name(i));
  return { bytesPerImage: bytes / Math.min(DISTINCT, images) };
}
