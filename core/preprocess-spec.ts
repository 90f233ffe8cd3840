import { z } from 'zod';
import { shortHashOf } from './canonical-json.ts';

const Channel = z.int().min(0).max(255);

/** An sRGB colour as [red, green, blue], each 0–255. */
const RgbColor = z.tuple([Channel, Channel, Channel]);

const SidePx = z.int().min(1).max(4096);

/**
 * Where the centre lies if as many pixels cannot be left out on both sides. `floor`: one less at the left and the top,
 * as in Hugging Face's image processors; absent: to the even number, as in torchvision.
 */
const CropOffset = z.literal('floor');
export type CropOffset = z.infer<typeof CropOffset>;

/** How a picture of any size becomes a picture of the target size. */
const ResizeMode = z.discriminatedUnion('mode', [
  /** Scale so that the shorter side is `shorterSidePx`, then cut the centre out (torchvision's Resize + CenterCrop). */
  z.strictObject({
    mode: z.literal('shorter-side+center-crop'),
    shorterSidePx: SidePx,
    cropOffset: CropOffset.optional(),
  }),
  /** Scale each axis by itself to this size, then cut the centre out (DeiT's processor; timm's crop mode "squash"). */
  z.strictObject({
    mode: z.literal('squash+center-crop'),
    scaledWidthPx: SidePx,
    scaledHeightPx: SidePx,
    cropOffset: CropOffset.optional(),
  }),
  /**
   * Scale the whole picture into the target and pad the rest. `align` puts the picture in the centre or
   * at the top left; with `enlarge: false` a smaller picture keeps its size.
   */
  z.strictObject({
    mode: z.literal('letterbox'),
    pad: RgbColor,
    align: z.enum(['center', 'start']),
    enlarge: z.boolean(),
  }),
  /** Scale each axis by itself to the target, whatever that does to the aspect ratio. */
  z.strictObject({ mode: z.literal('squash') }),
]);

/**
 * How an image file becomes the uint8 RGB tensor `[heightPx, widthPx, 3]` that a model was trained on.
 * It is data in the model's manifest, and its hash is in every receipt.
 */
export const PreprocessSpec = z.strictObject({
  widthPx: SidePx,
  heightPx: SidePx,
  resize: ResizeMode,
  /**
   * The resampling kernel, in sharp's words: `linear` to `lanczos3` antialias, as Pillow does. The other two are linear
   * without antialiasing, as OpenCV (`linear-sampled`) and TensorFlow.js (`linear-corners`: align_corners) have it;
   * they decode every picture whole, which costs time and memory.
   */
  kernel: z.enum(['nearest', 'linear', 'cubic', 'lanczos3', 'linear-sampled', 'linear-corners']),
  /**
   * `exact`: the whole picture is decoded, and scaled to the very bytes that Pillow makes (kernels `nearest` to `lanczos3`).
   * `faithful`: shrink-on-load only as far as it cannot be told from a full decode.
   * `fast`: the decoder shrinks as far as it can.
   * Where the decoder has nothing to shrink, the last two are exact too: that costs no more.
   */
  fidelity: z.enum(['exact', 'faithful', 'fast']).default('faithful'),
  /** `srgb` converts an embedded profile to sRGB; `ignore-profile` takes the stored numbers, as torchvision and Pillow pipelines do. */
  color: z.enum(['srgb', 'ignore-profile']),
  /** What transparent pixels are flattened on. */
  background: RgbColor,
});
export type PreprocessSpec = z.infer<typeof PreprocessSpec>;

/** The name of a preprocess spec in receipts. */
export function preprocessHash(spec: PreprocessSpec): string {
  return shortHashOf(spec);
}
