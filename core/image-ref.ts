import { z } from 'zod';

/** Where one image is. The store it lies in belongs to the job; the key is relative to that store. */
export const ImageRef = z.strictObject({
  key: z.string().min(1),
  /** Changes when the object's content changes. Empty where the listing could not tell. */
  etag: z.string(),
  /** Size in bytes as listed; 0 where the listing could not tell. */
  bytes: z.int().min(0),
});
export type ImageRef = z.infer<typeof ImageRef>;
