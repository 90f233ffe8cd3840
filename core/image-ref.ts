import { z } from 'zod';

/** A piece of a picture: whole pixels of the upright original, after EXIF orientation. */
export const Region = z.strictObject({
  x: z.int().min(0),
  y: z.int().min(0),
  width: z.int().min(1),
  height: z.int().min(1),
});
export type Region = z.infer<typeof Region>;

/** Where one image is. The store it lies in belongs to the job; the key is relative to that store. */
export const ImageRef = z.strictObject({
  key: z.string().min(1),
  /** Changes when the object's content changes. Empty where the listing could not tell. */
  etag: z.string(),
  /** Size in bytes as listed; 0 where the listing could not tell. */
  bytes: z.int().min(0),
  /** Left out, the whole picture. */
  region: Region.optional(),
  /** Of what a stage hands on: the name of the row that it comes from, see {@link rowName}. */
  parent: z.string().optional(),
});
export type ImageRef = z.infer<typeof ImageRef>;

/** "12,30,100,80": x, y, width, height. */
export function regionText({ x, y, width, height }: Region): string {
  return `${x},${y},${width},${height}`;
}

/** The region that {@link regionText} wrote. */
export function parseRegion(text: string): Region {
  const [x, y, width, height] = text.split(',').map(Number);
  return Region.parse({ x, y, width, height });
}

/** What the row of an image, or of a piece of one, is called within its stage: the key, with the region as a media fragment. */
export function rowName({ key, region }: { key: string; region?: Region | undefined }): string {
  return region === undefined ? key : `${key}#xywh=${regionText(region)}`;
}
