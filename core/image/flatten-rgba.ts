/**
 * Lays a picture on a colour, as Pillow's `paste` with its alpha channel as the mask: the nearest whole level of
 * (colour · (255 − alpha) + level · alpha) / 255. Source: Pillow, src/libImaging/Paste.c, `BLEND`.
 *
 * @param rgba uint8 RGBA, alpha not premultiplied.
 * @returns uint8 RGB.
 */
export function flattenRgba(rgba: Uint8Array, background: readonly [number, number, number]): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    const alpha = rgba[from + 3] as number;
    for (let i = 0; i < 3; i++) {
      const level = rgba[from + i] as number;
      if (alpha === 255) {
        rgb[to++] = level;
        continue;
      }
      const sum = (background[i] as number) * (255 - alpha) + level * alpha + 128;
      rgb[to++] = ((sum >> 8) + sum) >> 8;
    }
  }
  return rgb;
}
