import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';

/** What calibration may see, and what it is judged on: no photo is on both sides. */
export type Side = 'calibration' | 'evaluation';

const SIDE_PX = 400;
const PICTURE = /\.(jpe?g|png|webp|tiff?|gif|bmp|avif)$/i;
/** Files of the corpus that show the same picture in other ways: they stay on one side. */
const SAME_PICTURE = /landscape|paris|kodim23|bricks|hopper|colors/i;

/**
 * Writes variations of the photos of one side: each photo as it is, then cropped, mirrored, turned, and with other light, colour,
 * contrast, sharpness and JPEG quality, drawn with a fixed seed. @returns how many.
 */
export async function writePhotoVariations(
  photos: string,
  side: Side,
  folder: string,
  perPhoto: number,
): Promise<number> {
  await mkdir(folder, { recursive: true });
  let written = 0;
  for (const name of await photosOf(photos, side)) {
    const whole = await shrunk(join(photos, name));
    if (whole === undefined) continue;
    const next = generator(`${side} ${name}`);
    for (let i = 0; i < perPhoto; i++) {
      const bytes = i === 0 ? await sharp(whole).jpeg({ quality: 95 }).toBuffer() : await varied(whole, next);
      await writeFile(join(folder, `${name}-${String(i).padStart(2, '0')}.jpg`), bytes);
      written++;
    }
  }
  return written;
}

/** Every other picture of a folder. */
async function photosOf(folder: string, side: Side): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => PICTURE.test(name)).sort();
  const pictureOf = (name: string): string => SAME_PICTURE.exec(name)?.[0].toLowerCase() ?? name;
  const pictures = [...new Set(names.map(pictureOf))];
  return names.filter((name) => (pictures.indexOf(pictureOf(name)) % 2 === 0) === (side === 'calibration'));
}

/** A photo upright and small, as PNG; `undefined` where it cannot be read. */
async function shrunk(path: string): Promise<Buffer | undefined> {
  try {
    return await sharp(path)
      .rotate()
      .resize(SIDE_PX, SIDE_PX, { fit: 'inside' })
      .flatten({ background: 'white' })
      .toColourspace('srgb')
      .png({ compressionLevel: 1 })
      .toBuffer();
  } catch {
    return undefined;
  }
}

async function varied(png: Buffer, next: () => number): Promise<Buffer> {
  const between = (from: number, to: number): number => from + (to - from) * next();
  const { width = SIDE_PX, height = SIDE_PX } = await sharp(png).metadata();
  const share = between(0.6, 1);
  const [w, h] = [Math.max(8, Math.round(width * share)), Math.max(8, Math.round(height * share))];
  let picture = sharp(png)
    .extract({
      left: Math.round(next() * (width - w)),
      top: Math.round(next() * (height - h)),
      width: w,
      height: h,
    })
    .flop(next() < 0.5)
    .rotate(between(-12, 12), { background: 'white' })
    .modulate({
      brightness: between(0.5, 1.5),
      saturation: between(0.1, 1.6),
      hue: Math.round(between(-10, 10)),
    });
  const contrast = between(0.6, 1.3);
  picture = picture.linear(contrast, 128 * (1 - contrast));
  if (next() < 0.3) picture = picture.blur(between(0.4, 2.5));
  return picture.jpeg({ quality: Math.round(between(30, 95)) }).toBuffer();
}

/** Mulberry32, seeded with a text (FNV-1a): uniform in [0, 1). */
function generator(seed: string): () => number {
  let state = 2166136261;
  for (const character of seed) state = Math.imul(state ^ (character.codePointAt(0) as number), 16777619);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
