import { join } from 'node:path';
import sharp from 'sharp';
import type { Piece } from './expected-pieces.ts';

/** No loader of sharp's reads these; and inks without their profile become colours by a formula that sharp does not have. */
async function isForSharp(path: string): Promise<boolean> {
  return !/\.(heic|bmp)$/.test(path) && (await sharp(path).metadata()).space !== 'cmyk';
}

/**
 * Writes each piece of a picture as a PNG of its own: `0.png`, `1.png` and so on, where sharp by itself reads the picture. It is decoded and
 * turned upright whole before anything is cut out of it, so that nothing is shared with how a cascade decodes a region. Colours are left as
 * they are stored.
 *
 * @returns which pieces were written.
 */
export async function cutOut(pieces: readonly Piece[], from: string, to: string): Promise<number[]> {
  const written: number[] = [];
  for (const [i, { key, region }] of pieces.entries()) {
    const path = join(from, key);
    if (!(await isForSharp(path))) continue;
    const { data, info } = await sharp(path, { ignoreIcc: true })
      .autoOrient()
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    const [left = 0, top = 0, width = 0, height = 0] = region.split(',').map(Number);
    const raw = { width: info.width, height: info.height, channels: info.channels };
    const piece = sharp(data, { raw }).extract({ left, top, width, height });
    await piece.png().toFile(join(to, `${i}.png`));
    written.push(i);
  }
  return written;
}
