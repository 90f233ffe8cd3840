import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { preprocessImage } from '#adapters/image/preprocess-image.ts';
import type { PreprocessSpec } from '#core/preprocess-spec.ts';
import { limits, preprocessed, quarters, squash8 } from './pictures.ts';

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
