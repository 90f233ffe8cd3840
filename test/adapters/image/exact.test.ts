import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { preprocessImage } from '#adapters/image/preprocess-image.ts';
import type { PreprocessSpec } from '#core/preprocess-spec.ts';
import { limits, preprocessed } from './pictures.ts';
import { PILLOW_FILES } from './pillow-files.ts';

const spec = (widthPx: number, heightPx: number, kernel: PreprocessSpec['kernel']): PreprocessSpec => ({
  widthPx,
  heightPx,
  resize: { mode: 'squash' },
  kernel,
  fidelity: 'exact',
  color: 'ignore-profile',
  background: [10, 200, 30],
});

async function rowOf(bytes: Buffer, how: PreprocessSpec): Promise<Uint8Array> {
  return (await preprocessed(bytes, how)).row;
}

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

describe('under fidelity exact a file becomes the bytes that Pillow makes of it', () => {
  it.each(PILLOW_FILES)('$name', async ({ base64, shrunk, enlarged }) => {
    const bytes = Buffer.from(base64, 'base64');
    expect(hashOf(await rowOf(bytes, spec(16, 12, 'linear')))).toBe(shrunk);
    expect(hashOf(await rowOf(bytes, spec(100, 70, 'cubic')))).toBe(enlarged);
  });

  it.each(PILLOW_FILES)('under faithful too where the decoder has nothing to shrink: $name', async (file) => {
    const bytes = Buffer.from(file.base64, 'base64');
    const row = await rowOf(bytes, { ...spec(16, 12, 'linear'), fidelity: 'faithful' });
    expect(hashOf(row)).toBe(file.shrunk);
    const large = await rowOf(bytes, { ...spec(100, 70, 'cubic'), fidelity: 'fast' });
    expect(hashOf(large)).toBe(file.enlarged);
  });

  it('and one with more pixels than may be held at once, on its way too, is refused', async () => {
    const bytes = Buffer.from(PILLOW_FILES[0]?.base64 ?? '', 'base64');
    const outcomeOf = (how: PreprocessSpec, maxBufferedPixels: number) =>
      preprocessImage(
        bytes,
        how,
        { ...limits, maxBufferedPixels },
        new Uint8Array(how.widthPx * how.heightPx * 3),
      );
    const refused = { ok: false, refusal: { code: 'too-many-pixels' } };
    expect(await outcomeOf(spec(16, 12, 'linear'), 46 * 33 - 1)).toMatchObject(refused);
    expect(await outcomeOf(spec(16, 12, 'linear'), 46 * 33)).toMatchObject({ ok: true });
    expect(await outcomeOf(spec(100, 8, 'linear'), 46 * 33)).toMatchObject(refused);
    const faithful = { ...spec(100, 8, 'linear'), fidelity: 'faithful' } as const;
    expect(await outcomeOf(faithful, 46 * 33)).toMatchObject({ ok: true });
  });
});
