import type { Size } from '#core/geometry.ts';

const SHORT = 3;
const LONG = 4;
const UNDEFINED = 7;
const HEADER_BYTES = 8;
const ENTRY_BYTES = 12;

/**
 * Pixels with their ICC profile as an uncompressed TIFF (TIFF 6.0; tag 34675 of the ICC specification, annex B.4):
 * sharp takes a profile from a file only, never beside raw pixels.
 *
 * @param rgba uint8 `[heightPx, widthPx, 4]`, alpha not premultiplied.
 */
export function profiledTiff(rgba: Uint8Array, size: Size, profile: Uint8Array): Buffer {
  const tags: readonly [
    tag: number,
    type: number,
    count: number,
    value: number | 'bits' | 'pixels' | 'profile',
  ][] = [
    [256, LONG, 1, size.widthPx],
    [257, LONG, 1, size.heightPx],
    [258, SHORT, 4, 'bits'],
    // Not compressed; RGB; one strip; 4 samples, the last unassociated alpha.
    [259, SHORT, 1, 1],
    [262, SHORT, 1, 2],
    [273, LONG, 1, 'pixels'],
    [277, SHORT, 1, 4],
    [278, LONG, 1, size.heightPx],
    [279, LONG, 1, rgba.length],
    [338, SHORT, 1, 2],
    [34675, UNDEFINED, profile.length, 'profile'],
  ];
  const bitsAt = HEADER_BYTES + 2 + tags.length * ENTRY_BYTES + 4;
  const places = { bits: bitsAt, pixels: bitsAt + 8, profile: bitsAt + 8 + rgba.length };
  const head = Buffer.alloc(places.pixels);
  head.write('II*\0', 'latin1');
  head.writeUInt32LE(HEADER_BYTES, 4);
  head.writeUInt16LE(tags.length, HEADER_BYTES);
  for (const [i, [tag, type, count, value]] of tags.entries()) {
    const at = HEADER_BYTES + 2 + i * ENTRY_BYTES;
    head.writeUInt16LE(tag, at);
    head.writeUInt16LE(type, at + 2);
    head.writeUInt32LE(count, at + 4);
    head.writeUInt32LE(typeof value === 'number' ? value : places[value], at + 8);
  }
  for (let i = 0; i < 4; i++) head.writeUInt16LE(8, bitsAt + 2 * i);
  return Buffer.concat([head, rgba, profile]);
}
