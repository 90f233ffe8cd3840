import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { preprocessImage } from '#adapters/image/preprocess-image.ts';
import type { ImageLimits } from '#core/limits.ts';
import { textBombPng } from '#test/support/hostile-images.ts';
import { NEEDS_SHARED, sharedFolder } from '#test/support/shared-folder.ts';
import { DISPLAY_P3_HEIC } from './display-p3-heic.ts';
import { bmp, limits, quarters, squash8 } from './pictures.ts';

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
