import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import {
  decoderVersion,
  type PreprocessedImage,
  pixelHashOf,
  preprocessImage,
  thumbnailOf,
} from '#adapters/image/preprocess-image.ts';
import { ImageLimits } from '#core/limits.ts';
import { PreprocessSpec } from '#core/preprocess-spec.ts';
import { textBombPng } from '#test/support/hostile-images.ts';
import { NEEDS_SHARED, sharedFolder } from '#test/support/shared-folder.ts';
import { DISPLAY_P3_HEIC } from './display-p3-heic.ts';

const limits = ImageLimits.parse({});
const squash8 = PreprocessSpec.parse({
  widthPx: 8,
  heightPx: 8,
  resize: { mode: 'squash' },
  kernel: 'linear',
  color: 'srgb',
  background: [255, 0, 255],
});

async function preprocessed(
  bytes: Buffer,
  spec = squash8,
): Promise<{ image: PreprocessedImage; row: Uint8Array }> {
  const row = new Uint8Array(spec.widthPx * spec.heightPx * 3).fill(77);
  const outcome = await preprocessImage(bytes, spec, limits, row);
  if (!outcome.ok) throw new Error(`${outcome.refusal.code}: ${outcome.refusal.detail}`);
  return { image: outcome.image, row };
}

/** The pixel at (x, y) of a row. */
const at = (row: Uint8Array, x: number, y: number, widthPx = 8): number[] => [
  ...row.subarray(3 * (y * widthPx + x), 3 * (y * widthPx + x) + 3),
];

/** A gray picture of one row, and what becomes of it in a row of so many px. */
async function rowOf(
  levels: readonly number[],
  widthPx: number,
  kernel: PreprocessSpec['kernel'],
): Promise<number[]> {
  const raw = { width: levels.length, height: 1, channels: 3 } as const;
  const png = await sharp(Buffer.from(levels.flatMap((level) => [level, level, level])), { raw })
    .png()
    .toBuffer();
  const { row } = await preprocessed(png, { ...squash8, widthPx, heightPx: 1, kernel });
  return [...row].filter((_, i) => i % 3 === 0);
}

/** A picture of four quarters: red, green above blue, gray. */
function quarters(widthPx: number, heightPx: number): Sharp {
  const pixels = Buffer.alloc(widthPx * heightPx * 3);
  for (let y = 0; y < heightPx; y++) {
    for (let x = 0; x < widthPx; x++) {
      const color =
        y < heightPx / 2
          ? x < widthPx / 2
            ? [200, 0, 0]
            : [0, 200, 0]
          : x < widthPx / 2
            ? [0, 0, 200]
            : [99, 99, 99];
      pixels.set(color, 3 * (y * widthPx + x));
    }
  }
  return sharp(pixels, { raw: { width: widthPx, height: heightPx, channels: 3 } });
}

/** A picture without any symmetry. */
function uneven(widthPx: number, heightPx: number): Sharp {
  const pixels = Buffer.from(
    Array.from({ length: widthPx * heightPx }, (_, i) => {
      const [x, y] = [i % widthPx, Math.floor(i / widthPx)];
      return [(x * x) / 400 + y, (x * 3 + y * y) / 200, 255 - x / 2 + (y % 37)];
    }).flat(),
  );
  return sharp(pixels, { raw: { width: widthPx, height: heightPx, channels: 3 } });
}

function expectNear(actual: readonly number[], expected: readonly number[], levels = 6): void {
  for (const [i, value] of expected.entries())
    expect(Math.abs((actual[i] as number) - value)).toBeLessThanOrEqual(levels);
}

const STORED: Readonly<Record<number, [degrees: number, mirror: 'flop' | 'flip' | undefined]>> = {
  1: [0, undefined],
  2: [0, 'flop'],
  3: [180, undefined],
  4: [0, 'flip'],
  5: [90, 'flop'],
  6: [270, undefined],
  7: [270, 'flop'],
  8: [90, undefined],
};

/** A 24-bit BMP, rows from the bottom up. */
function bmp(widthPx: number, heightPx: number, color: readonly [number, number, number]): Buffer {
  const rowBytes = Math.ceil((widthPx * 3) / 4) * 4;
  const file = Buffer.alloc(54 + rowBytes * heightPx);
  file.write('BM', 0, 'latin1');
  file.writeUInt32LE(file.length, 2);
  file.writeUInt32LE(54, 10);
  file.writeUInt32LE(40, 14);
  file.writeInt32LE(widthPx, 18);
  file.writeInt32LE(heightPx, 22);
  file.writeUInt16LE(1, 26);
  file.writeUInt16LE(24, 28);
  for (let y = 0; y < heightPx; y++) {
    for (let x = 0; x < widthPx; x++) file.set([color[2], color[1], color[0]], 54 + y * rowBytes + 3 * x);
  }
  return file;
}

describe('an image becomes upright 8-bit RGB', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('from EXIF orientation %i', async (orientation) => {
    // The stored picture is turned, then mirrored, so that its orientation turns it back.
    const [degrees, mirror] = STORED[orientation] as [number, 'flop' | 'flip' | undefined];
    const rotated = await sharp(await quarters(64, 32).png().toBuffer())
      .rotate(degrees)
      .png()
      .toBuffer();
    const stored = await (mirror === undefined ? sharp(rotated) : sharp(rotated)[mirror]()).png().toBuffer();
    const jpeg = await sharp(stored)
      .jpeg({ quality: 95, chromaSubsampling: '4:4:4' })
      .withMetadata({ orientation })
      .toBuffer();
    const { image, row } = await preprocessed(jpeg);
    expect([image.widthPx, image.heightPx]).toEqual([64, 32]);
    expectNear(at(row, 1, 1), [200, 0, 0]);
    expectNear(at(row, 6, 1), [0, 200, 0]);
    expectNear(at(row, 1, 6), [0, 0, 200]);
    expectNear(at(row, 6, 6), [99, 99, 99]);
  });

  it('with the same hashes from all eight EXIF orientations of the same pixels', async () => {
    const spec = { ...squash8, widthPx: 64, heightPx: 64 };
    const hashes = await Promise.all(
      Object.entries(STORED).map(async ([orientation, [degrees, mirror]]) => {
        const rotated = await sharp(await uneven(300, 200).png().toBuffer())
          .rotate(degrees)
          .png()
          .toBuffer();
        const stored = mirror === undefined ? sharp(rotated) : sharp(rotated)[mirror]();
        const file = await stored
          .withMetadata({ orientation: Number(orientation) })
          .png()
          .toBuffer();
        const { widthPx, heightPx, contentHash, perceptualHash } = (await preprocessed(file, spec)).image;
        return { widthPx, heightPx, contentHash, perceptualHash };
      }),
    );
    expect(hashes[0]?.perceptualHash).toMatch(/^[0-9a-f]{16}$/);
    for (const other of hashes) expect(other).toEqual(hashes[0]);
  });

  it('from an EXIF orientation that is not stored by the book', async () => {
    const jpeg = await quarters(64, 32).jpeg().withMetadata({ orientation: 6 }).toBuffer();
    const type = jpeg.indexOf(Buffer.from([0x12, 0x01, 0x03, 0x00])) + 2;
    // LONG instead of SHORT: the decoder takes it, so the size must be upright too.
    jpeg[type] = 4;
    const { image, row } = await preprocessed(jpeg);
    expect([image.widthPx, image.heightPx]).toEqual([32, 64]);
    expectNear(at(row, 1, 1), [0, 0, 200]);
    expectNear(at(row, 6, 1), [200, 0, 0]);
  });

  it.each([
    ['png', (s: Sharp) => s.png()],
    ['webp', (s: Sharp) => s.webp({ lossless: true })],
    ['tiff', (s: Sharp) => s.tiff({ compression: 'lzw' })],
    ['gif', (s: Sharp) => s.gif()],
    ['avif', (s: Sharp) => s.avif({ lossless: true })],
  ])('from %s', async (format, encode) => {
    const { image, row } = await preprocessed(await encode(quarters(32, 32)).toBuffer());
    expect(image).toMatchObject({ format, widthPx: 32, heightPx: 32 });
    expectNear(at(row, 1, 1), [200, 0, 0]);
    expectNear(at(row, 6, 6), [99, 99, 99]);
  });

  it('from gray, from 16 bits and from an alpha channel, flattened on the colour of the spec', async () => {
    const gray = await sharp({ create: { width: 9, height: 9, channels: 3, background: '#646464' } })
      .toColourspace('b-w')
      .png()
      .toBuffer();
    expect(at((await preprocessed(gray)).row, 4, 4)).toEqual([100, 100, 100]);
    const deep = await quarters(32, 32).toColourspace('rgb16').png().toBuffer();
    expect((await sharp(deep).metadata()).depth).toBe('ushort');
    expectNear(at((await preprocessed(deep)).row, 1, 1), [200, 0, 0], 1);
    const clear = await sharp({
      create: { width: 9, height: 9, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } },
    })
      .png()
      .toBuffer();
    expect(at((await preprocessed(clear)).row, 4, 4)).toEqual([255, 0, 255]);
  });

  it('from CMYK, by Pillow’s formula where the profile is to be ignored', async () => {
    const cmyk = await sharp({ create: { width: 16, height: 16, channels: 3, background: '#a08878' } })
      .toColourspace('cmyk')
      .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
      .toBuffer();
    const inks = await sharp(cmyk, { ignoreIcc: true })
      .pipelineColourspace('cmyk')
      .toColourspace('cmyk')
      .raw()
      .toBuffer();
    const light = 255 - inks[3]!;
    const expected = [0, 1, 2].map((i) => ((255 - inks[i]!) * light) / 255);
    expectNear(
      at((await preprocessed(cmyk, { ...squash8, color: 'ignore-profile' })).row, 4, 4),
      expected,
      2,
    );
    expectNear(at((await preprocessed(cmyk)).row, 4, 4), [0xa0, 0x88, 0x78], 12);
  });

  it('converted from its colour profile, or not, as the spec says', async () => {
    const p3 = await sharp({ create: { width: 16, height: 16, channels: 3, background: '#ff0000' } })
      .withIccProfile('p3')
      .png()
      .toBuffer();
    const stored = [...(await sharp(p3, { ignoreIcc: true }).raw().toBuffer()).subarray(0, 3)];
    expect(at((await preprocessed(p3, { ...squash8, color: 'ignore-profile' })).row, 4, 4)).toEqual(stored);
    expectNear(at((await preprocessed(p3)).row, 4, 4), [255, 0, 0], 3);
    expect(stored).not.toEqual([255, 0, 0]);
  });

  it('from the first frame of an animation', async () => {
    const frames = await Promise.all(
      ['#c80000', '#0000c8'].map((background) =>
        sharp({ create: { width: 10, height: 10, channels: 3, background } })
          .png()
          .toBuffer(),
      ),
    );
    const webp = await sharp(frames, { join: { animated: true } })
      .webp({ lossless: true })
      .toBuffer();
    expectNear(at((await preprocessed(webp)).row, 4, 4), [200, 0, 0]);
  });
});

describe('where a picture lands in its row', () => {
  it('letterbox pads with its colour, and leaves a small picture small when told to', async () => {
    const resize: PreprocessSpec['resize'] = {
      mode: 'letterbox',
      pad: [1, 2, 3],
      align: 'start',
      enlarge: false,
    };
    const { row } = await preprocessed(await quarters(4, 2).png().toBuffer(), { ...squash8, resize });
    expect([at(row, 0, 0), at(row, 3, 1), at(row, 4, 0), at(row, 0, 2)]).toEqual([
      [200, 0, 0],
      [99, 99, 99],
      [1, 2, 3],
      [1, 2, 3],
    ]);
  });

  it('letterbox centres a picture that is scaled to fit', async () => {
    const resize: PreprocessSpec['resize'] = {
      mode: 'letterbox',
      pad: [0, 0, 0],
      align: 'center',
      enlarge: true,
    };
    const { row } = await preprocessed(await quarters(32, 16).png().toBuffer(), { ...squash8, resize });
    expect([at(row, 0, 0), at(row, 0, 7)]).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
    expectNear(at(row, 1, 2), [200, 0, 0]);
    expectNear(at(row, 6, 5), [99, 99, 99]);
  });
});

describe('the content hash', () => {
  it('is equal for equal scaled pictures in another container, and differs for others or another size', async () => {
    const hashOf = async (image: Sharp) => (await preprocessed(await image.toBuffer())).image.contentHash;
    const png = await hashOf(quarters(32, 32).png());
    expect(png).toMatch(/^[0-9a-f]{16}$/);
    expect(await hashOf(quarters(32, 32).png({ compressionLevel: 1 }))).toBe(png);
    expect(await hashOf(quarters(32, 32).webp({ lossless: true }))).toBe(png);
    expect(await hashOf(quarters(64, 64).png())).not.toBe(png);
    expect(await hashOf(quarters(32, 32).negate().png())).not.toBe(png);
  });
});

describe('the pixel hash', () => {
  const hashOf = async (bytes: Buffer, some: Partial<ImageLimits> = {}) => {
    const outcome = await pixelHashOf(bytes, squash8, { ...limits, ...some });
    return outcome.ok ? outcome.hash : outcome.refusal.code;
  };

  it('is that of all pixels: equal in any container, and another one where a bit differs', async () => {
    const jpeg = await quarters(600, 400).jpeg({ quality: 30 }).toBuffer();
    const { data, info } = await sharp(jpeg).raw().toBuffer({ resolveWithObject: true });
    const raw = { width: info.width, height: info.height, channels: info.channels } as const;
    const hash = await hashOf(jpeg);
    expect(hash).toMatch(/^[0-9a-f]{32}$/);
    for (const same of [sharp(data, { raw }).png(), sharp(data, { raw }).tiff({ compression: 'lzw' })])
      expect(await hashOf(await same.toBuffer())).toBe(hash);
    data[1000] = (data[1000] as number) ^ 1;
    expect(await hashOf(await sharp(data, { raw }).png().toBuffer())).not.toBe(hash);
  });

  it('is that of the upright picture', async () => {
    const upright = await quarters(64, 32).png().toBuffer();
    const lying = await quarters(64, 32).rotate(270).withMetadata({ orientation: 6 }).png().toBuffer();
    expect(await hashOf(lying)).toBe(await hashOf(upright));
  });

  it('is none of a picture that may not be held whole', async () => {
    const bytes = await quarters(100, 100).png().toBuffer();
    expect(await hashOf(bytes, { maxBufferedPixels: 9999 })).toBe('too-many-pixels');
  });
});

describe('a damaged or hostile file', () => {
  const jpeg = () => quarters(200, 200).jpeg().toBuffer();
  const refusalOf = async (bytes: Buffer, some: Partial<ImageLimits> = {}) => {
    const outcome = await preprocessImage(bytes, squash8, { ...limits, ...some }, new Uint8Array(192));
    return outcome.ok ? undefined : outcome.refusal;
  };

  it('is fine with garbage behind its end', async () => {
    expect(
      await refusalOf(Buffer.concat([await jpeg(), Buffer.from('PK\x03\x04 and more')])),
    ).toBeUndefined();
  });

  it('is truncated where its end is missing', async () => {
    const whole = await jpeg();
    expect((await refusalOf(whole.subarray(0, whole.length - 200)))?.code).toBe('truncated');
    const png = await quarters(64, 64).png().toBuffer();
    expect((await refusalOf(png.subarray(0, png.length - 20)))?.code).toBe('truncated');
  });

  it.each([
    ['jpeg', (s: Sharp) => s.jpeg()],
    ['progressive jpeg', (s: Sharp) => s.jpeg({ progressive: true })],
    ['png', (s: Sharp) => s.png()],
    ['webp', (s: Sharp) => s.webp()],
    ['gif', (s: Sharp) => s.gif()],
    ['tiff', (s: Sharp) => s.tiff({ compression: 'none' })],
    ['tiled tiff', (s: Sharp) => s.tiff({ compression: 'lzw', tile: true, tileWidth: 64, tileHeight: 64 })],
    ['avif', (s: Sharp) => s.avif()],
    ['bmp', () => ({ toBuffer: async () => bmp(90, 90, [1, 2, 3]) })],
    ['heic', () => ({ toBuffer: async () => DISPLAY_P3_HEIC })],
  ])('is truncated wherever a %s is cut, never a picture or another fault', async (_, encode) => {
    const whole = await encode(quarters(150, 150)).toBuffer();
    expect(await refusalOf(whole)).toBeUndefined();
    for (const share of [0.3, 0.6, 0.9]) {
      const cut = whole.subarray(0, Math.floor(whole.length * share));
      expect(await refusalOf(cut)).toMatchObject({ code: 'truncated' });
    }
    expect(await refusalOf(Buffer.concat([whole, Buffer.alloc(100, 'x')]))).toBeUndefined();
  });

  it('is corrupt where a decoder only warns', async () => {
    const png = await quarters(64, 64).png().toBuffer();
    const at = png.indexOf('IDAT') + 20;
    png[at] = (png[at] as number) ^ 0xff;
    expect((await refusalOf(png))?.code).toBe('corrupt');
  });

  it('costs no memory for text that inflates to a gigabyte', async () => {
    expect(await refusalOf(textBombPng(100, 10))).toBeUndefined();
  });

  it('is timed out, and says that its native decoder runs on', async () => {
    const slow = await sharp({
      create: {
        width: 6000,
        height: 6000,
        channels: 3,
        background: '#777',
      },
    })
      .png({ compressionLevel: 0 })
      .toBuffer();
    const outcome = await preprocessImage(
      slow,
      squash8,
      { ...limits, maxImageBytes: 2 ** 30, maxSecondsPerImage: 0.001 },
      new Uint8Array(192),
    );
    expect(outcome).toMatchObject({ ok: false, refusal: { code: 'timed-out' }, decoderStuck: true });
  });
});

describe('BMP and HEIC', () => {
  it('a BMP is decoded, opaque', async () => {
    const { image, row } = await preprocessed(bmp(13, 9, [10, 150, 250]));
    expect(image).toMatchObject({ format: 'bmp', widthPx: 13, heightPx: 9 });
    expectNear(at(row, 4, 4), [10, 150, 250], 1);
  });

  it('a BMP that overruns its time is interrupted, and the next one is decoded', async () => {
    const large = bmp(5000, 5000, [1, 2, 3]);
    const outcome = await preprocessImage(
      large,
      squash8,
      { ...limits, maxImageBytes: 2 ** 30, maxSecondsPerImage: 0.005 },
      new Uint8Array(192),
    );
    expect(outcome).toMatchObject({ ok: false, refusal: { code: 'timed-out' } });
    expect(outcome).not.toHaveProperty('decoderStuck');
    await preprocessed(bmp(5, 5, [1, 2, 3]));
  });

  it('a HEIC is converted from its colour profile, or not, as the spec says', async () => {
    expectNear(at((await preprocessed(DISPLAY_P3_HEIC)).row, 4, 4), [255, 0, 0], 4);
    const ignored = await preprocessed(DISPLAY_P3_HEIC, { ...squash8, color: 'ignore-profile' });
    expectNear(at(ignored.row, 4, 4), [234, 51, 35], 4);
    const thumbnail = await thumbnailOf(DISPLAY_P3_HEIC, limits, 32);
    const { data, info } = await sharp(thumbnail.ok ? thumbnail.jpeg : undefined)
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect([info.width, info.height]).toEqual([32, 24]);
    expectNear([...data.subarray(0, 3)], [255, 0, 0], 4);
  });

  const heic = sharedFolder('corpus', 'good', 'isz_sample.heic');
  it.skipIf(heic === undefined)(`a HEIC is decoded ${heic === undefined ? NEEDS_SHARED : ''}`, async () => {
    const { image } = await preprocessed(readFileSync(heic as string));
    expect(image).toMatchObject({ format: 'heic', widthPx: 123, heightPx: 456 });
  });
});

const bad = sharedFolder('corpus', 'bad');

describe.skipIf(bad === undefined)(`real hostile files ${bad === undefined ? NEEDS_SHARED : ''}`, () => {
  it.each([
    ['jd_empty.jpg', 'empty'],
    ['gen_html_as.jpg', 'not-an-image'],
    ['gen_lfs_pointer.png', 'not-an-image'],
    ['gen_svg_external_file.svg', 'unsupported-format'],
    ['irs_Bad_smile-incorrect-image-length.ico', 'unsupported-format'],
    ['gen_corrupt_dht.jpg', 'corrupt'],
    ['ipng_x_ihdr_missing.png', 'corrupt'],
    ['gen_tiff_ifd_loop.tif', 'corrupt'],
    ['jd_subtract-with-overflow.jpg', 'corrupt'],
    ['sharp_truncated.jpg', 'truncated'],
    ['gen_truncated.avif', 'truncated'],
    ['wuffs_peacock.progressive.truncated.jpeg', 'truncated'],
    ['gen_bomb_30000x30000_1bit.png', 'too-many-pixels'],
    ['sharp_65536-uint32-limit.png', 'too-many-pixels'],
    ['gen_ihdr_2g_x_2g.png', 'too-many-pixels'],
    ['gen_gif_20000_frames.gif', 'too-many-frames'],
    ['gen_zip_appended.jpg', undefined],
    ['gen_wrongext_jpeg_as.png', undefined],
    ['pil_png_decompression_dos.png', undefined],
  ])('%s is %s', async (name, code) => {
    const bytes = readFileSync(join(bad as string, name));
    const outcome = await preprocessImage(bytes, squash8, limits, new Uint8Array(192));
    expect(outcome.ok ? undefined : outcome.refusal.code).toBe(code);
  });
});

describe('a thumbnail', () => {
  it('is a small upright JPEG, never larger than its source', async () => {
    const jpeg = await quarters(64, 32).jpeg().withMetadata({ orientation: 6 }).toBuffer();
    const outcome = await thumbnailOf(jpeg, limits, 240);
    const { width, height, format } = await sharp(outcome.ok ? outcome.jpeg : undefined).metadata();
    expect([width, height, format]).toEqual([32, 64, 'jpeg']);
  });
});

describe('the decoder version', () => {
  it('names every decoder', () => {
    expect(decoderVersion()).toMatch(/^sharp [\d.]+, libvips [\d.]+, libheif-js [\d.]+$/);
  });
});

describe('the kernels', () => {
  it('that are linear enlarge about the centres of pixels, as Pillow and OpenCV do', async () => {
    expect(await rowOf([0, 200], 4, 'linear')).toEqual([0, 50, 150, 200]);
    expect(await rowOf([0, 200], 4, 'linear-sampled')).toEqual([0, 50, 150, 200]);
    expect(await rowOf([0, 100, 200], 5, 'linear-corners')).toEqual([0, 50, 100, 150, 200]);
  });

  it('antialias where they say so, and only there', async () => {
    const stripes = Array.from({ length: 64 }, (_, i) => (i % 4 < 2 ? 0 : 200));
    for (const level of (await rowOf(stripes, 4, 'linear')).slice(1, 3))
      expect(Math.abs(level - 100)).toBeLessThan(10);
    expect(await rowOf(stripes, 4, 'linear-sampled')).toEqual([100, 100, 100, 100]);
    expect(await rowOf([...stripes.slice(1), 0], 4, 'linear-sampled')).toEqual([0, 0, 0, 0]);
  });

  it('without antialiasing refuse a picture that would have to be held whole beyond the limit', async () => {
    const png = await quarters(100, 100).png().toBuffer();
    const row = new Uint8Array(8 * 8 * 3);
    const spec = { ...squash8, kernel: 'linear-sampled' } as const;
    const outcome = await preprocessImage(png, spec, { ...limits, maxBufferedPixels: 9999 }, row);
    expect(outcome).toMatchObject({ ok: false, refusal: { code: 'too-many-pixels' } });
  });
});
