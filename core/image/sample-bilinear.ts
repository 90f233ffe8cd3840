import type { Size } from '#core/geometry.ts';

/**
 * Bilinear interpolation without antialiasing: each target pixel is a mixture of the four source pixels around one
 * point, however much smaller the target is.
 *
 * The point is source = (target + ½) · s − ½ with s = source side / target side (OpenCV's INTER_LINEAR, and
 * TensorFlow 2's `resize` without antialias), or with `alignCorners` source = target · (source side − 1) / (target
 * side − 1) (TensorFlow.js's `resizeBilinear(…, true)`, TensorFlow 1's `align_corners`).
 *
 * @param pixels uint8 RGB `[source.heightPx, source.widthPx, 3]`.
 * @returns uint8 RGB `[target.heightPx, target.widthPx, 3]`, rounded to the nearest level.
 */
export function sampleBilinear(
  pixels: Uint8Array,
  source: Size,
  target: Size,
  alignCorners: boolean,
): Uint8Array {
  const across = points(source.widthPx, target.widthPx, alignCorners);
  const down = points(source.heightPx, target.heightPx, alignCorners);
  const result = new Uint8Array(target.widthPx * target.heightPx * 3);
  let to = 0;
  for (let y = 0; y < target.heightPx; y++) {
    const upper = (down.first[y] as number) * source.widthPx;
    const lower = (down.second[y] as number) * source.widthPx;
    const fy = down.share[y] as number;
    for (let x = 0; x < target.widthPx; x++) {
      const left = across.first[x] as number;
      const right = across.second[x] as number;
      const fx = across.share[x] as number;
      for (let band = 0; band < 3; band++) {
        const a = pixels[(upper + left) * 3 + band] as number;
        const b = pixels[(upper + right) * 3 + band] as number;
        const c = pixels[(lower + left) * 3 + band] as number;
        const d = pixels[(lower + right) * 3 + band] as number;
        const top = a + (b - a) * fx;
        result[to++] = top + (c + (d - c) * fx - top) * fy + 0.5;
      }
    }
  }
  return result;
}

/** For each target pixel of an axis the two source pixels, and the share of the second. */
function points(
  source: number,
  target: number,
  alignCorners: boolean,
): { first: Int32Array; second: Int32Array; share: Float64Array } {
  const first = new Int32Array(target);
  const second = new Int32Array(target);
  const share = new Float64Array(target);
  for (let i = 0; i < target; i++) {
    const at = alignCorners
      ? (i * (source - 1)) / Math.max(1, target - 1)
      : Math.max(0, ((i + 0.5) * source) / target - 0.5);
    first[i] = Math.min(source - 1, Math.floor(at));
    second[i] = Math.min(source - 1, (first[i] as number) + 1);
    share[i] = at - Math.floor(at);
  }
  return { first, second, share };
}
