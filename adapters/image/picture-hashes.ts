import { createHash } from 'node:crypto';
import { createXXHash128 } from 'hash-wasm';
import type { Size } from '#core/geometry.ts';

const xxh128 = await createXXHash128();

/**
 * XXH128 of the source's size and a scaled picture, as 32 hex digits. It only says who may have equal pixels, and those are
 * compared: it need not withstand somebody who wants two to be equal, and takes a third of the time of SHA-256.
 */
export function contentHashOf(pixels: Uint8Array, source: Size): string {
  return xxh128.init().update(sizeText(source)).update(pixels).digest('hex');
}

/** SHA-256 of a picture's size and its pixels, the first 32 hex digits. */
export function pixelHashOf(pixels: Uint8Array, size: Size): string {
  return createHash('sha256').update(sizeText(size)).update(pixels).digest('hex').slice(0, 32);
}

/** Pictures of other sizes may have the same bytes. */
function sizeText({ widthPx, heightPx }: Size): string {
  return `${widthPx}x${heightPx}:`;
}
