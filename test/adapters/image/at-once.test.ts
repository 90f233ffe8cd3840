import sharp from 'sharp';
import { expect, it } from 'vitest';
import { PreprocessSpec } from '#core/preprocess-spec.ts';
import { syntheticImage } from '#test/support/synthetic-image.ts';
import { preprocessed } from './pictures.ts';

const SPEC = PreprocessSpec.parse({
  widthPx: 24,
  heightPx: 24,
  resize: { mode: 'shorter-side+center-crop', shorterSidePx: 32 },
  kernel: 'linear',
  color: 'srgb',
  background: [255, 255, 255],
});

function fileOf(i: number): Promise<Buffer> {
  const [width, height] = [200 + 37 * i, 300 - 29 * i];
  const raw = { width, height, channels: 3 } as const;
  const picture = sharp(syntheticImage(width, height, i, 90).data, { raw });
  // JPEGs are shrunk by the decoder, PNGs are decoded whole.
  return i % 2 === 0 ? picture.jpeg().toBuffer() : picture.png().toBuffer();
}

it('comes to the same for many images at once as for one after another', async () => {
  const files = await Promise.all(Array.from({ length: 8 }, (_, i) => fileOf(i)));
  const inTurn: object[] = [];
  for (const file of files) inTurn.push(await preprocessed(file, SPEC));
  for (let round = 0; round < 5; round++)
    expect(await Promise.all(files.map((file) => preprocessed(file, SPEC)))).toEqual(inTurn);
});
