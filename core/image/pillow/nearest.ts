import type { Size } from '#core/geometry.ts';

/**
 * Pillow's resize with NEAREST: each target pixel is the source pixel under its centre.
 * Source: Pillow, src/libImaging/Geometry.c, `ImagingScaleAffine`.
 *
 * @param pixels uint8 RGB `[source.heightPx, source.widthPx, 3]`.
 * @returns uint8 RGB `[target.heightPx, target.widthPx, 3]`.
 */
export function nearestAsPillow(pixels: Uint8Array, source: Size, target: Size): Uint8Array {
  const columns = centers(source.widthPx, target.widthPx);
  const rows = centers(source.heightPx, target.heightPx);
  const result = new Uint8Array(target.widthPx * target.heightPx * 3);
  let to = 0;
  for (const row of rows) {
    for (const column of columns) {
      const from = (row * source.widthPx + column) * 3;
      result[to++] = pixels[from] as number;
      result[to++] = pixels[from + 1] as number;
      result[to++] = pixels[from + 2] as number;
    }
  }
  return result;
}

/** Steps are added up, as Pillow does: multiplied they would fall on the other side of some borders. */
function centers(source: number, target: number): Int32Array {
  const scale = source / target;
  const places = new Int32Array(target);
  let at = scale * 0.5;
  for (let i = 0; i < target; i++) {
    places[i] = Math.min(source - 1, Math.trunc(at));
    at += scale;
  }
  return places;
}
