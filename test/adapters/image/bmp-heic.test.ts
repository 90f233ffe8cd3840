import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { preprocessImage, thumbnailOf } from '#adapters/image/preprocess-image.ts';
import { NEEDS_SHARED, sharedFolder } from '#test/support/shared-folder.ts';
import { DISPLAY_P3_HEIC } from './display-p3-heic.ts';
import { at, bmp, expectNear, limits, preprocessed, squash8 } from './pictures.ts';

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
