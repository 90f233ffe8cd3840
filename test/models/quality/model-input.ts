import { preprocessImage } from '#adapters/image/preprocess-image.ts';
import { placementOf } from '#core/geometry.ts';
import { ImageLimits } from '#core/limits.ts';
import type { PreprocessSpec } from '#core/preprocess-spec.ts';
import type { RgbImage } from '#test/support/pillow.ts';

/**
 * What the model gets to see of an image file: its picture as a job decodes and scales it, without the padding.
 * `undefined` where the file is refused.
 */
export async function modelInputOf(bytes: Uint8Array, spec: PreprocessSpec): Promise<RgbImage | undefined> {
  const row = new Uint8Array(spec.widthPx * spec.heightPx * 3);
  const outcome = await preprocessImage(Buffer.from(bytes), spec, ImageLimits.parse({}), row);
  if (!outcome.ok) return undefined;
  const { widthPx, heightPx } = placementOf(outcome.image, spec).scaled;
  const data = new Uint8Array(widthPx * heightPx * 3);
  for (let y = 0; y < heightPx; y++) {
    const from = y * spec.widthPx * 3;
    data.set(row.subarray(from, from + widthPx * 3), y * widthPx * 3);
  }
  return { widthPx, heightPx, data };
}
