import sharp, { type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { pixelHashOf } from '#adapters/image/preprocess-image.ts';
import type { ImageLimits } from '#core/limits.ts';
import { limits, preprocessed, quarters, squash8 } from './pictures.ts';

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
