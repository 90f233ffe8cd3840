import type { Placement } from '#core/geometry.ts';
import type { PreprocessSpec } from '#core/preprocess-spec.ts';

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
  for (let y = 0; y < crop.heightPx; y++) {
    const from = ((y + crop.topPx) * scaled.widthPx + crop.leftPx) * 3;
    row.set(pixels.subarray(from, from + crop.widthPx * 3), ((y + topPx) * spec.widthPx + leftPx) * 3);
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
