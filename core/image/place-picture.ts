import type { Placement } from '#core/geometry.ts';
import type { PreprocessSpec } from '#core/preprocess-spec.ts';

/** Lines are cropped in a strip of about so much, which stays in the processor's cache. */
const STRIP_BYTES = 24 * 1024;

let strip = new Uint8Array(STRIP_BYTES);

/**
 * Lays the crop of a scaled picture into a pack's row, and pads the rest: with the letterbox's colour, else black.
 *
 * @param pixels uint8 RGB of the scaled picture, `[scaled.heightPx, scaled.widthPx, 3]`.
 * @param row uint8 RGB of the target, `[spec.heightPx, spec.widthPx, 3]`, written whole.
 */
export function placePicture(
  pixels: Uint8Array,
  placement: Placement,
  spec: PreprocessSpec,
  row: Uint8Array,
): void {
  const { scaled, crop, leftPx, topPx } = placement;
  if (crop.widthPx < spec.widthPx || crop.heightPx < spec.heightPx) pad(row, spec);
  if (crop.widthPx === spec.widthPx) {
    placeFullLines(pixels, placement, row);
    return;
  }
  for (let y = 0; y < crop.heightPx; y++) {
    const from = ((y + crop.topPx) * scaled.widthPx + crop.leftPx) * 3;
    row.set(pixels.subarray(from, from + crop.widthPx * 3), ((y + topPx) * spec.widthPx + leftPx) * 3);
  }
}

/**
 * The same where the crop is as wide as the target: its lines lie beside each other there, and are moved together first. One `set`
 * for each of them takes twice as long.
 */
function placeFullLines(pixels: Uint8Array, { scaled, crop, topPx }: Placement, row: Uint8Array): void {
  const [lineBytes, croppedBytes] = [3 * scaled.widthPx, 3 * crop.widthPx];
  const start = crop.topPx * lineBytes;
  if (lineBytes === croppedBytes) {
    row.set(pixels.subarray(start, start + crop.heightPx * lineBytes), topPx * croppedBytes);
    return;
  }
  const lines = Math.max(1, Math.floor(STRIP_BYTES / lineBytes));
  if (strip.length < lines * lineBytes) strip = new Uint8Array(lines * lineBytes);
  for (let y = 0; y < crop.heightPx; y += lines) {
    const count = Math.min(lines, crop.heightPx - y);
    const from = start + y * lineBytes;
    strip.set(pixels.subarray(from, from + count * lineBytes));
    for (let i = 0; i < count; i++) {
      const left = i * lineBytes + 3 * crop.leftPx;
      strip.copyWithin(i * croppedBytes, left, left + croppedBytes);
    }
    row.set(strip.subarray(0, count * croppedBytes), (topPx + y) * croppedBytes);
  }
}

function pad(row: Uint8Array, spec: PreprocessSpec): void {
  const [r, g, b] = spec.resize.mode === 'letterbox' ? spec.resize.pad : [0, 0, 0];
  if (r === g && g === b) {
    row.fill(r);
    return;
  }
  for (let i = 0; i < row.length; i += 3) {
    row[i] = r;
    row[i + 1] = g;
    row[i + 2] = b;
  }
}
