import type { ImageFormat, ImageHeader } from './image-header.ts';

/**
 * Bytes that a decoder and what follows on it hold for each pixel of a picture that is decoded whole, at the most: what the format's own
 * decoder keeps, the picture as RGB or RGBA, and a copy on its way to the resampler.
 */
const BYTES_PER_PIXEL: Readonly<Record<ImageFormat, number>> = {
  jpeg: 7,
  png: 7,
  webp: 12,
  gif: 12,
  tiff: 12,
  bmp: 12,
  avif: 18,
  heic: 18,
};
/** The coefficients of a progressive JPEG; the 16-bit RGBA rows of an interlaced PNG: held whole, whatever becomes of them. */
const BUFFERED_BYTES_PER_PIXEL = 8;

/**
 * How much memory decoding may take, told from the header alone.
 *
 * @param isWhole false where the decoder shrinks the picture while it decodes.
 * @returns bytes, on the safe side: what is refused or goes wrong takes less.
 */
export function decodedBytes(format: ImageFormat, header: ImageHeader, isWhole: boolean): number {
  const { widthPx, heightPx, isBuffered } = header;
  const whole = isWhole ? BYTES_PER_PIXEL[format] : 0;
  const buffered = isBuffered && (format === 'jpeg' || format === 'png') ? BUFFERED_BYTES_PER_PIXEL : 0;
  return widthPx * heightPx * (whole + buffered);
}
