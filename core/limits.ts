import { z } from 'zod';

const MIB = 1024 * 1024;

/** What one image may cost before it is refused. Every limit is checked before the memory or time is spent. */
export const ImageLimits = z.strictObject({
  /** File size, in bytes. */
  maxImageBytes: z
    .int()
    .min(1)
    .default(64 * MIB),
  /** Width × height of the first frame, for formats that decode row by row. */
  maxPixels: z.int().min(1).default(100_000_000),
  /**
   * Width × height for what a decoder must hold whole: WebP, AVIF, HEIC, GIF, BMP, progressive JPEG and interlaced PNG,
   * and for whatever is scaled exactly.
   * `decodedBytes` estimates what they take.
   */
  maxBufferedPixels: z.int().min(1).default(64_000_000),
  /** Frames or pages in the file. Only the first is decoded, but some loaders index them all. */
  maxFrames: z.int().min(1).default(10_000),
  /** Seconds for one image, after which its decoder is killed: by the clock and of processor time (see startDecodingClock). */
  maxSecondsPerImage: z.number().positive().default(10),
});
export type ImageLimits = z.infer<typeof ImageLimits>;
