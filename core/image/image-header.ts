import type { Size } from '#core/geometry.ts';
import { type Refusal, refusal } from '#core/refusal.ts';

/** The formats that are audited. */
export const IMAGE_FORMATS = ['jpeg', 'png', 'webp', 'gif', 'tiff', 'avif', 'heic', 'bmp'] as const;
export type ImageFormat = (typeof IMAGE_FORMATS)[number];

/** What a file's header claims, read without decoding anything. */
export interface ImageHeader extends Size {
  /** The stored size; the largest one where a file names several. */
  readonly widthPx: number;
  readonly heightPx: number;
  /** Frames or pages. */
  readonly frames: number;
  /** The decoder holds the picture whole instead of going through it row by row. */
  readonly isBuffered: boolean;
  /** How often the decoder goes over the whole picture (JPEG scans). */
  readonly passes: number;
  readonly isCmyk: boolean;
  /** EXIF orientation 1–8; null where the decoder knows it better. */
  readonly orientation: number | null;
  /** The file ends before what its header promises. */
  readonly isTruncated: boolean;
  /** An embedded ICC profile, where the decoder does not hand it on. */
  readonly colorProfile: Uint8Array | null;
}

/** A header, or why there is none. */
export type HeaderResult = { ok: true; header: ImageHeader } | { ok: false; refusal: Refusal };

export function headerOf(
  fields: Size & Partial<Omit<ImageHeader, 'widthPx' | 'heightPx'>>,
  format: string,
): HeaderResult {
  if (!(fields.widthPx > 0 && fields.heightPx > 0)) return corrupt(`the ${format} header says zero pixels`);
  return {
    ok: true,
    header: {
      frames: 1,
      isBuffered: false,
      passes: 1,
      isCmyk: false,
      orientation: null,
      isTruncated: false,
      colorProfile: null,
      ...fields,
    },
  };
}

export function corrupt(detail: string): { ok: false; refusal: Refusal } {
  return { ok: false, refusal: refusal('corrupt', detail) };
}

export function truncated(detail: string): { ok: false; refusal: Refusal } {
  return { ok: false, refusal: refusal('truncated', detail) };
}
