import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { preprocessImage } from '#adapters/image/preprocess-image.ts';
import type { Region } from '#core/image-ref.ts';
import { ImageLimits } from '#core/limits.ts';
import { PreprocessSpec } from '#core/preprocess-spec.ts';

const limits = ImageLimits.parse({});
const spec = (kernel: PreprocessSpec['kernel']): PreprocessSpec =>
  PreprocessSpec.parse({
    widthPx: 4,
    heightPx: 4,
    resize: { mode: 'squash' },
    kernel,
    color: 'srgb',
    background: [255, 0, 255],
  });

/** 40 × 20 px, black, with a red piece of 8 × 4 px at (24, 12). */
const RED: Region = { x: 24, y: 12, width: 8, height: 4 };
async function picture(): Promise<Buffer> {
  const red = {
    create: { width: RED.width, height: RED.height, channels: 3 as const, background: '#ff0000' },
  };
  const piece = await sharp(red).png().toBuffer();
  return sharp({ create: { width: 40, height: 20, channels: 3, background: '#000000' } })
    .composite([{ input: piece, left: RED.x, top: RED.y }])
    .png()
    .toBuffer();
}

async function pieceOf(bytes: Buffer, region: Region, kernel: PreprocessSpec['kernel'] = 'nearest') {
  const row = new Uint8Array(4 * 4 * 3).fill(7);
  return { outcome: await preprocessImage(bytes, spec(kernel), limits, row, region), row };
}

const allRed = Uint8Array.from({ length: 16 }).reduce<number[]>((row) => [...row, 255, 0, 0], []);

describe('a region of an image', () => {
  it.each(['nearest', 'linear', 'lanczos3', 'linear-sampled', 'linear-corners'] as const)(
    'is cut out of the original, with the kernel %s',
    async (kernel) => {
      const { outcome, row } = await pieceOf(await picture(), RED, kernel);
      expect(outcome).toMatchObject({ ok: true, image: { widthPx: 8, heightPx: 4, format: 'png' } });
      expect([...row]).toEqual(allRed);
    },
  );

  it('counts in pixels of the upright picture, whatever its EXIF orientation', async () => {
    // Turned counter-clockwise in the file, with the word to turn it back.
    const turned = await sharp(await picture())
      .rotate(270)
      .withMetadata({ orientation: 6 })
      .webp({ lossless: true })
      .toBuffer();
    expect((await sharp(turned).metadata()).width).toBe(20);
    expect([...(await pieceOf(turned, RED)).row]).toEqual(allRed);
  });

  it('can be cut out of what another decoder has read', async () => {
    // A BMP of 24 bits, its rows from the bottom up.
    const raw = await sharp(await picture())
      .removeAlpha()
      .raw()
      .toBuffer();
    const head = Buffer.alloc(54);
    head.write('BM');
    head.writeUInt32LE(54 + raw.length, 2);
    head.writeUInt32LE(54, 10);
    head.writeUInt32LE(40, 14);
    head.writeInt32LE(40, 18);
    head.writeInt32LE(-20, 22);
    head.writeUInt16LE(1, 26);
    head.writeUInt16LE(24, 28);
    const bgr = Buffer.from(raw);
    for (let i = 0; i < raw.length; i += 3) {
      bgr[i] = raw[i + 2] as number;
      bgr[i + 2] = raw[i] as number;
    }
    expect([...(await pieceOf(Buffer.concat([head, bgr]), RED)).row]).toEqual(allRed);
  });

  it('is refused where it does not lie within the picture', async () => {
    const { outcome } = await pieceOf(await picture(), { ...RED, x: 33 });
    expect(outcome).toMatchObject({
      ok: false,
      refusal: { code: 'missing', detail: 'the region 33,12,8,4 does not lie within 40 × 20 px' },
    });
  });
});
