import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { DecodedOnce } from '#adapters/image/decoded-once.ts';
import { preprocessImage, preprocessTargets } from '#adapters/image/preprocess-image.ts';
import type { ScalablePicture } from '#adapters/image/sharp-picture.ts';
import { ImageLimits } from '#core/limits.ts';
import { PreprocessSpec } from '#core/preprocess-spec.ts';
import { refusal } from '#core/refusal.ts';
import { syntheticImage } from '#test/support/synthetic-image.ts';
import { DISPLAY_P3_HEIC } from './display-p3-heic.ts';

const limits = ImageLimits.parse({});
const base = {
  widthPx: 32,
  heightPx: 24,
  resize: { mode: 'squash' },
  kernel: 'linear',
  color: 'srgb',
  background: [255, 0, 255],
};
/** Ways that share a whole picture, and ways that must not. */
const specs = [
  {},
  { fidelity: 'exact' },
  {
    fidelity: 'exact',
    widthPx: 48,
    kernel: 'cubic',
    resize: { mode: 'shorter-side+center-crop', shorterSidePx: 50 },
  },
  { fidelity: 'fast', widthPx: 20 },
  { kernel: 'linear-sampled' },
  { kernel: 'linear-corners', color: 'ignore-profile' },
  { fidelity: 'exact', color: 'ignore-profile' },
  { fidelity: 'exact', background: [0, 255, 0] },
].map((change) => PreprocessSpec.parse({ ...base, ...change }));

async function files(): Promise<[string, Buffer][]> {
  const { widthPx: width, heightPx: height, data } = syntheticImage(400, 300, 7);
  const picture = sharp(data, { raw: { width, height, channels: 3 } });
  const alpha = Buffer.alloc(width * height, 100);
  return [
    ['a JPEG', await picture.clone().jpeg().toBuffer()],
    [
      'a JPEG that lies on its side',
      await picture.clone().withMetadata({ orientation: 6 }).jpeg().toBuffer(),
    ],
    ['a CMYK JPEG', await picture.clone().toColourspace('cmyk').jpeg().toBuffer()],
    [
      'a PNG that can be seen through',
      await picture
        .clone()
        .joinChannel(alpha, { raw: { width, height, channels: 1 } })
        .png()
        .toBuffer(),
    ],
    ['a WebP', await picture.clone().webp().toBuffer()],
    ['a HEIC with a profile', DISPLAY_P3_HEIC],
    ['a JPEG that ends too soon', (await picture.clone().jpeg().toBuffer()).subarray(0, 6000)],
  ];
}

const rowOf = ({ widthPx, heightPx }: PreprocessSpec): Uint8Array => new Uint8Array(widthPx * heightPx * 3);

describe.each(await files())('several ways to take %s', (_, bytes) => {
  it.each([
    ['the whole', undefined],
    ['a region', { x: 10, y: 20, width: 40, height: 33 }],
  ])('come to the bytes and words of each by itself: %s', async (_, region) => {
    const targets = specs.map((spec) => ({ spec, row: rowOf(spec) }));
    const outcomes = await preprocessTargets(bytes, targets, limits, region);
    for (const [i, spec] of specs.entries()) {
      const row = rowOf(spec);
      expect([i, outcomes[i]]).toEqual([i, await preprocessImage(bytes, spec, limits, row, region)]);
      expect(Buffer.from(targets[i]?.row ?? []).equals(row)).toBe(true);
    }
  });
});

describe('what is decoded once', () => {
  const picture = (whole: () => Promise<Uint8Array>): ScalablePicture => ({
    upright: { widthPx: 1, heightPx: 1 },
    scaledTo: async () => Buffer.alloc(0),
    isCheaperScaled: () => false,
    whole,
  });
  const black: PreprocessSpec['background'] = [0, 0, 0];
  const srgb = { color: 'srgb', background: black } as const;

  it('is a whole picture, for all that want the same colors and background', async () => {
    let decoded = 0;
    const counting = picture(async () => Uint8Array.of(++decoded));
    const once = new DecodedOnce();
    expect(await once.whole(counting, srgb)).toEqual(Uint8Array.of(1));
    expect(await once.whole(counting, srgb)).toEqual(Uint8Array.of(1));
    expect(await once.whole(counting, { ...srgb, background: [9, 0, 0] })).toEqual(Uint8Array.of(2));
    expect(await once.whole(counting, { ...srgb, color: 'ignore-profile' })).toEqual(Uint8Array.of(3));
  });

  it('is tried again where it failed', async () => {
    let tries = 0;
    const once = new DecodedOnce();
    const failing = picture(async () => {
      if (++tries === 1) throw new Error('not in company');
      return Uint8Array.of(tries);
    });
    await expect(once.whole(failing, srgb)).rejects.toThrow('not in company');
    expect(await once.whole(failing, srgb)).toEqual(Uint8Array.of(2));
    const late = { ok: false, refusal: refusal('timed-out', 'late') } as const;
    const raw = { ok: true, picture: { widthPx: 1, heightPx: 1, rgba: new Uint8Array(4) } } as const;
    expect(await once.raw(async () => late)).toBe(late);
    expect(await once.raw(async () => raw)).toBe(raw);
    expect(await once.raw(async () => late)).toBe(raw);
  });
});
