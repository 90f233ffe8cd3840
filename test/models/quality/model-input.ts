import sharp from 'sharp';
import { placementOf } from '#core/geometry.ts';
import type { PreprocessSpec } from '#core/preprocess-spec.ts';
import type { RgbImage } from '#test/support/pillow.ts';

/**
 * What the model gets to see of an image file: its picture at the size that the spec asks for, without the padding.
 * `undefined` where the decoder cannot read the format.
 */
export async function modelInputOf(bytes: Uint8Array, spec: PreprocessSpec): Promise<RgbImage | undefined> {
  const source = await sourceSize(bytes);
  if (!source) return undefined;
  const { widthPx, heightPx } = placementOf(source, spec).scaled;
  const [r, g, b] = spec.background;
  const data = await sharp(bytes, { autoOrient: true })
    .flatten({ background: { r, g, b } })
    .toColourspace('srgb')
    .resize(widthPx, heightPx, { fit: 'fill', kernel: 'linear', fastShrinkOnLoad: false })
    .raw()
    .toBuffer();
  return { widthPx, heightPx, data: new Uint8Array(data) };
}

async function sourceSize(bytes: Uint8Array): Promise<{ widthPx: number; heightPx: number } | undefined> {
  try {
    const { autoOrient } = await sharp(bytes).metadata();
    return { widthPx: autoOrient.width, heightPx: autoOrient.height };
  } catch {
    return undefined;
  }
}
