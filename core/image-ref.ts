import { z } from 'zod';

/** A crop box in pixels of the upright (EXIF-oriented) source image. */
export const Region = z.strictObject({
  leftPx: z.int().min(0),
  topPx: z.int().min(0),
  widthPx: z.int().min(1),
  heightPx: z.int().min(1),
});
export type Region = z.infer<typeof Region>;

/** Where one image is. The store it lies in belongs to the job; the key is relative to that store. */
export const ImageRef = z.strictObject({
  key: z.string().min(1),
  /** Changes when the object's content changes. Empty where the listing could not tell. */
  etag: z.string(),
  /** Size in bytes as listed; 0 where the listing could not tell. */
  bytes: z.int().min(0),
});
export type ImageRef = z.infer<typeof ImageRef>;
