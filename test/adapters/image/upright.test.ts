import sharp, { type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { at, expectNear, preprocessed, quarters, squash8 } from './pictures.ts';

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
