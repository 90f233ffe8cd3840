import { decode as decodeByBmpTs } from 'bmp-ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBmp } from '#core/image/decode-bmp.ts';

interface BmpParts {
  readonly widthPx: number;
  /** Negative: rows from the top. */
  readonly height: number;
  readonly bits: number;
  readonly compression?: number;
  /** Behind the header: masks, or the palette as blue, green, red, 0. */
  readonly extra?: readonly number[];
  readonly colorsUsed?: number;
  readonly pixels: readonly number[];
}

function bmp({
  widthPx,
  height,
  bits,
  compression = 0,
  extra = [],
  colorsUsed = 0,
  pixels,
}: BmpParts): Buffer {
  const head = Buffer.alloc(54);
  head.write('BM', 'latin1');
  head.writeUInt32LE(54 + extra.length, 10);
  head.writeUInt32LE(40, 14);
  head.writeInt32LE(widthPx, 18);
  head.writeInt32LE(height, 22);
  head.writeUInt16LE(1, 26);
  head.writeUInt16LE(bits, 28);
  head.writeUInt32LE(compression, 30);
  head.writeUInt32LE(colorsUsed, 46);
  return Buffer.concat([head, Buffer.from(extra), Buffer.from(pixels)]);
}

/** Black, red, green, blue, then grays. */
const PALETTE = Array.from({ length: 16 }, (_, i) =>
  i === 0
    ? [0, 0, 0, 0]
    : i === 1
      ? [0, 0, 255, 0]
      : i === 2
        ? [0, 255, 0, 0]
        : i === 3
          ? [255, 0, 0, 0]
          : [i, i, i, 0],
).flat();
const COLORS: Readonly<Record<string, readonly number[]>> = {
  k: [0, 0, 0],
  r: [255, 0, 0],
  g: [0, 255, 0],
  b: [0, 0, 255],
};

/** The colours of a decoded BMP, a letter for each pixel and a word for each row. */
function letters(file: Buffer): string {
  const { widthPx, heightPx, rgba } = decodeBmp(file);
  const rows: string[] = [];
  for (let y = 0; y < heightPx; y++) {
    let row = '';
    for (let x = 0; x < widthPx; x++) {
      const at = 4 * (y * widthPx + x);
      const pixel = [...rgba.subarray(at, at + 3)].join();
      row += Object.keys(COLORS).find((letter) => COLORS[letter]?.join() === pixel) ?? '?';
      expect(rgba[at + 3]).toBe(255);
    }
    rows.push(row);
  }
  return rows.join(' ');
}

const rgb24 = [0, 0, 255, 0, 255, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 255, 0, 0, 0, 0];

describe('a BMP', () => {
  it.each<[string, BmpParts]>([
    [
      '24 bits, rows from the bottom',
      { widthPx: 3, height: 2, bits: 24, pixels: [...rgb24.slice(12), ...rgb24.slice(0, 12)] },
    ],
    ['24 bits, rows from the top', { widthPx: 3, height: -2, bits: 24, pixels: rgb24 }],
    [
      '1 bit',
      {
        widthPx: 3,
        height: -2,
        bits: 1,
        extra: [0, 0, 0, 0, 0, 0, 255, 0],
        pixels: [0b0100_0000, 0, 0, 0, 0b1010_0000, 0, 0, 0],
      },
    ],
    [
      '4 bits and an odd width',
      { widthPx: 3, height: -2, bits: 4, extra: PALETTE, pixels: [0x12, 0x30, 0, 0, 0x01, 0x20, 0, 0] },
    ],
    [
      '8 bits and fewer colours than 256',
      { widthPx: 3, height: -2, bits: 8, extra: PALETTE, colorsUsed: 16, pixels: [1, 2, 3, 0, 0, 1, 2, 0] },
    ],
    [
      'RLE8',
      {
        widthPx: 3,
        height: 2,
        bits: 8,
        compression: 1,
        extra: PALETTE,
        colorsUsed: 16,
        pixels: [0, 3, 0, 1, 2, 0, 0, 0, 1, 1, 1, 2, 1, 3, 0, 1],
      },
    ],
    [
      'RLE4',
      {
        widthPx: 3,
        height: 2,
        bits: 4,
        compression: 2,
        extra: PALETTE,
        pixels: [0, 3, 0x01, 0x20, 0, 0, 3, 0x12, 0, 1],
      },
    ],
    [
      'RLE8 with pixels left out',
      {
        widthPx: 3,
        height: 2,
        bits: 8,
        compression: 1,
        extra: PALETTE,
        colorsUsed: 16,
        pixels: [0, 2, 1, 0, 1, 1, 1, 2, 0, 1],
      },
    ],
    [
      '16 bits, 5 of each',
      {
        widthPx: 3,
        height: -2,
        bits: 16,
        pixels: [0, 0x7c, 0xe0, 3, 0x1f, 0, 0, 0, 0, 0, 0, 0x7c, 0xe0, 3, 0, 0],
      },
    ],
    [
      '16 bits by masks',
      {
        widthPx: 3,
        height: -2,
        bits: 16,
        compression: 3,
        extra: [0, 0xf8, 0, 0, 0xe0, 7, 0, 0, 0x1f, 0, 0, 0],
        pixels: [0, 0xf8, 0xe0, 7, 0x1f, 0, 0, 0, 0, 0, 0, 0xf8, 0xe0, 7, 0, 0],
      },
    ],
    [
      '32 bits, the fourth of them idle',
      {
        widthPx: 3,
        height: -2,
        bits: 32,
        pixels: [0, 0, 255, 9, 0, 255, 0, 0, 255, 0, 0, 7, 0, 0, 0, 0, 0, 0, 255, 0, 0, 255, 0, 0],
      },
    ],
  ])('of %s is decoded', (name, parts) => {
    const expected: Readonly<Record<string, string>> = {
      '1 bit': 'krk rkr',
      RLE4: 'rgr krg',
      'RLE8 with pixels left out': 'kkk krg',
    };
    expect(letters(bmp(parts))).toBe(expected[name] ?? 'rgb krg');
  });

  it('with OS/2’s short header is decoded', () => {
    const file = Buffer.alloc(26 + 24);
    file.write('BM', 'latin1');
    file.writeUInt32LE(26, 10);
    file.writeUInt32LE(12, 14);
    file.writeUInt16LE(3, 18);
    file.writeUInt16LE(2, 20);
    file.writeUInt16LE(1, 22);
    file.writeUInt16LE(24, 24);
    file.set([...rgb24.slice(12), ...rgb24.slice(0, 12)], 26);
    expect(letters(file)).toBe('rgb krg');
  });

  it('keeps its alpha where a mask tells of it', () => {
    const masks = [0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 0, 0, 0, 0, 255];
    const file = bmp({
      widthPx: 1,
      height: 1,
      bits: 32,
      compression: 6,
      extra: masks,
      pixels: [30, 20, 10, 128],
    });
    expect([...decodeBmp(file).rgba]).toEqual([10, 20, 30, 128]);
  });

  it.each<[string, Partial<BmpParts>, RegExp]>([
    ['that is cut short', { pixels: [0, 0] }, /unexpected end/],
    ['whose palette is cut short', { bits: 8, pixels: [0, 0, 0, 0] }, /unexpected end/],
    [
      'whose pixels leave the palette',
      { bits: 8, extra: PALETTE, colorsUsed: 16, pixels: [99, 0, 0, 0] },
      /outside the palette/,
    ],
    [
      'whose run leaves the picture',
      { bits: 8, compression: 1, extra: PALETTE, colorsUsed: 16, pixels: [9, 1, 0, 1] },
      /leaves the picture/,
    ],
    [
      'whose runs never end',
      { bits: 8, compression: 1, extra: PALETTE, colorsUsed: 16, pixels: [1, 1] },
      /unexpected end/,
    ],
    ['that wraps a JPEG', { compression: 4, pixels: [0, 0, 0, 0] }, /unsupported/],
  ])('%s is an error', (_, parts, message) => {
    expect(() => decodeBmp(bmp({ widthPx: 1, height: 1, bits: 24, pixels: [], ...parts }))).toThrow(message);
  });

  it('of 24 bits is what bmp-ts makes of it', () => {
    const sizes = fc.record({
      widthPx: fc.integer({ min: 1, max: 9 }),
      height: fc.integer({ min: 1, max: 9 }),
    });
    fc.assert(
      fc.property(sizes, fc.infiniteStream(fc.nat(255)), ({ widthPx, height }, bytes) => {
        const rowBytes = Math.ceil((widthPx * 3) / 4) * 4;
        const file = bmp({ widthPx, height, bits: 24, pixels: [...bytes.take(rowBytes * height)] });
        const { data } = decodeByBmpTs(file, { toRGBA: true });
        for (let i = 3; i < data.length; i += 4) data[i] = 255;
        expect(Buffer.from(decodeBmp(file).rgba).equals(data)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it('of any bytes behind a small header ends, as a picture or as an error', () => {
    const parts = fc.record({
      widthPx: fc.integer({ min: 1, max: 40 }),
      height: fc.integer({ min: -40, max: 40 }).filter((height) => height !== 0),
      bits: fc.constantFrom(1, 4, 8, 16, 24, 32),
      compression: fc.constantFrom(0, 1, 2, 3, 6),
      pixels: fc.array(fc.nat(255), { maxLength: 3000 }),
    });
    fc.assert(
      fc.property(parts, (some) => {
        try {
          expect(decodeBmp(bmp(some)).rgba).toHaveLength(4 * some.widthPx * Math.abs(some.height));
        } catch (error) {
          expect((error as Error).message).toMatch(
            /unexpected end|unsupported|outside the palette|leaves the picture/,
          );
        }
      }),
      { numRuns: 500 },
    );
  });
});
