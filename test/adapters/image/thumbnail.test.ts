import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { decoderVersion, thumbnailOf } from '#adapters/image/preprocess-image.ts';
import { limits, quarters } from './pictures.ts';

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
