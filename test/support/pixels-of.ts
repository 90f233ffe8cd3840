import type { Lines } from '#core/image/kernel-memory.ts';

/** uint8 RGB `[heightPx, widthPx, 3]` of a picture in the kernels' memory, a copy. */
export function pixelsOf({ memory, at, stride, widthPx, heightPx }: Lines): Uint8Array {
  const rowBytes = widthPx * 3;
  const pixels = new Uint8Array(rowBytes * heightPx);
  for (let y = 0; y < heightPx; y++) {
    const from = at + y * stride;
    pixels.set(memory.views.bytes.subarray(from, from + rowBytes), y * rowBytes);
  }
  return pixels;
}
