import type { Size } from '#core/geometry.ts';
import type { ImageLimits } from '#core/limits.ts';
import { type Refusal, refusal } from '#core/refusal.ts';
import type { HeaderResult, ImageFormat, ImageHeader } from './image-header.ts';
import { inspectBmp } from './inspect-bmp.ts';
import { inspectGif } from './inspect-gif.ts';
import { inspectHeif } from './inspect-heif.ts';
import { inspectJpeg } from './inspect-jpeg.ts';
import { inspectPng } from './inspect-png.ts';
import { inspectTiff } from './inspect-tiff.ts';
import { inspectWebp } from './inspect-webp.ts';
import { sniffFormat } from './sniff-format.ts';

/**
 * A decoder that goes over a picture many times may go over so many pixels in all, as a multiple of `maxPixels`. An
 * ordinary progressive JPEG has about 10 scans; a file of a few kilobytes can legally have thousands.
 */
const MAX_PASSES_AT_FULL_SIZE = 20;

/** Many metadata decoders begin to allocate at the first byte: what they may not is told from the header alone. */
export type Inspected =
  | { ok: true; format: ImageFormat; header: ImageHeader }
  | { ok: false; refusal: Refusal };

const INSPECTORS: Readonly<Record<ImageFormat, (bytes: Uint8Array) => HeaderResult>> = {
  jpeg: inspectJpeg,
  png: inspectPng,
  webp: inspectWebp,
  gif: inspectGif,
  tiff: inspectTiff,
  avif: (bytes) => inspectHeif(bytes, 'AVIF'),
  heic: (bytes) => inspectHeif(bytes, 'HEIC'),
  bmp: inspectBmp,
};

/** Tells the format, and holds the header to the limits, before any decoder sees the bytes. */
export function inspectImage(bytes: Uint8Array, limits: ImageLimits): Inspected {
  if (bytes.length === 0) return refuse('empty', 'the file has no bytes');
  if (bytes.length > limits.maxImageBytes) {
    return refuse('too-many-bytes', `${bytes.length} bytes, the limit is ${limits.maxImageBytes}`);
  }
  const sniffed = sniffFormat(bytes);
  if (sniffed.kind === 'unsupported') return refuse('unsupported-format', `${sniffed.name} is not audited`);
  if (sniffed.kind === 'not-an-image') return refuse('not-an-image', sniffed.what);
  const result = INSPECTORS[sniffed.format](bytes);
  if (!result.ok) return result;
  const tooMuch = overLimit(result.header, limits);
  if (tooMuch !== undefined) return { ok: false, refusal: tooMuch };
  if (result.header.isTruncated) return refuse('truncated', 'the file ends before the picture does');
  return { ok: true, format: sniffed.format, header: result.header };
}

/** A size that only a decoder can tell is held to the same limit as one from a header. */
export function overPixelLimit(
  { widthPx, heightPx }: Size,
  limits: ImageLimits,
  isBuffered: boolean,
): Refusal | undefined {
  const limit = isBuffered ? Math.min(limits.maxPixels, limits.maxBufferedPixels) : limits.maxPixels;
  if (widthPx * heightPx <= limit) return undefined;
  return refusal('too-many-pixels', `${widthPx} × ${heightPx} pixels, the limit is ${limit}`);
}

function overLimit(header: ImageHeader, limits: ImageLimits): Refusal | undefined {
  const { widthPx, heightPx, frames, passes, isBuffered } = header;
  if (frames > limits.maxFrames)
    return refusal('too-many-frames', `${frames} frames, the limit is ${limits.maxFrames}`);
  const tooLarge = overPixelLimit(header, limits, isBuffered);
  if (tooLarge !== undefined) return tooLarge;
  if (widthPx * heightPx * passes <= limits.maxPixels * MAX_PASSES_AT_FULL_SIZE) return undefined;
  return refusal('too-many-pixels', `${widthPx} × ${heightPx} pixels in ${passes} scans are too much work`);
}

function refuse(code: Refusal['code'], detail: string): { ok: false; refusal: Refusal } {
  return { ok: false, refusal: refusal(code, detail) };
}
