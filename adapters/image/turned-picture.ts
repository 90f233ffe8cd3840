import sharp from 'sharp';
// Opening it sets which loaders ever see a file.
import './sharp-picture.ts';

/** How a picture lies: turned clockwise, and then mirrored left to right. */
export interface Turn {
  readonly degrees: 0 | 90 | 180 | 270;
  readonly isMirrored: boolean;
}

/** All that an EXIF orientation can be, but for upright. */
export const TURNS: readonly Turn[] = ([0, 90, 180, 270] as const).flatMap((degrees) =>
  [false, true].flatMap((isMirrored) => (degrees === 0 && !isMirrored ? [] : [{ degrees, isMirrored }])),
);

/**
 * A picture, made upright as its EXIF orientation says and then turned, as a PNG without orientation.
 *
 * @returns `undefined` for what sharp does not open.
 */
export async function turnedPicture(
  bytes: Buffer,
  { degrees, isMirrored }: Turn,
  maxPixels: number,
): Promise<Buffer | undefined> {
  try {
    // In two steps: sharp has one order of its own for what is asked for together.
    const upright = await sharp(bytes, { limitInputPixels: maxPixels }).autoOrient().png().toBuffer();
    const turned = await sharp(upright).rotate(degrees).png().toBuffer();
    return await sharp(turned).flop(isMirrored).png().toBuffer();
  } catch {
    return undefined;
  }
}
