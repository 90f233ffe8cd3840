import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { preprocessImage } from '#adapters/image/preprocess-image.ts';
import { ImageLimits } from '#core/limits.ts';
import type { PreprocessSpec } from '#core/preprocess-spec.ts';
import { lacksPillow, NEEDS_PILLOW, runPython } from '#test/support/python-pillow.ts';
import { NEEDS_SHARED, sharedFolder } from '#test/support/shared-folder.ts';
import { PILLOW_FILES } from './pillow-files.ts';

const limits = ImageLimits.parse({});
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
  const row = new Uint8Array(how.widthPx * how.heightPx * 3);
  const outcome = await preprocessImage(bytes, how, limits, row);
  if (!outcome.ok) throw new Error(`${outcome.refusal.code}: ${outcome.refusal.detail}`);
  return row;
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

/** Where Pillow and the decoders here read other pixels, whatever is made of them then. */
const DECODED_OTHERWISE: Readonly<Record<string, string>> = {
  'avif_colors_hdr_rec2020.avif': 'libavif turns 10-bit BT.2020 into RGB with another rounding',
  'avif_sofa_grid1x5_420.avif': 'libavif and libheif enlarge chroma differently',
  'pil_rot1mir1.avif': 'libavif and libheif enlarge chroma differently',
  'pil_12in16bit.tif': 'Pillow clips 16-bit gray to 255 instead of scaling it',
  'pil_transparency.avif': 'libavif and libheif turn YUV into RGB with another rounding',
  'pil_xmp_tags_orientation_exiftool.png': 'Pillow takes an orientation from XMP too',
};

const corpus = sharedFolder('corpus', 'good');
const NEEDS = `${lacksPillow ? NEEDS_PILLOW : ''}${corpus === undefined ? NEEDS_SHARED : ''}`;

/**
 * Of each file in the folder that Pillow opens, its name, a NUL, and uint8 RGB: Resize(256) by torchvision's sizes and
 * CenterCrop(224), bilinear, then bicubic.
 */
const PROGRAM = `
import os, sys
from PIL import Image, ImageOps
Image.MAX_IMAGE_PIXELS = None
for name in sorted(os.listdir(sys.argv[1])):
    try:
        image = ImageOps.exif_transpose(Image.open(os.path.join(sys.argv[1], name)))
        if image.mode in ("P", "LA", "PA"):
            image = image.convert("RGBA")
        if image.mode == "RGBA":
            canvas = Image.new("RGB", image.size, (10, 200, 30))
            canvas.paste(image, mask=image.getchannel("A"))
            image = canvas
        image = image.convert("RGB")
    except Exception:
        continue
    w, h = image.size
    size = (256, int(256 * h / w)) if w <= h else (int(256 * w / h), 256)
    left, top = round((size[0] - 224) / 2), round((size[1] - 224) / 2)
    sys.stdout.buffer.write(name.encode() + b"\\0")
    for kernel in (Image.BILINEAR, Image.BICUBIC):
        crop = image.resize(size, kernel).crop((left, top, left + 224, top + 224))
        sys.stdout.buffer.write(crop.tobytes())`;

describe.skipIf(NEEDS !== '')(`beside Pillow itself ${NEEDS}`, () => {
  it('no byte of any file in the corpus differs, but where the decoders do', {
    timeout: 120_000,
  }, async () => {
    const folder = corpus as string;
    const output = runPython(PROGRAM, [folder]);
    const rowBytes = 224 * 224 * 3;
    const differing: string[] = [];
    let files = 0;
    for (let at = 0; at < output.length; at += 2 * rowBytes) {
      const end = output.indexOf(0, at);
      const name = output.toString('utf8', at, end);
      at = end + 1;
      files++;
      const bytes = readFileSync(join(folder, name));
      for (const [i, kernel] of (['linear', 'cubic'] as const).entries()) {
        const row = await rowOf(bytes, {
          ...spec(224, 224, kernel),
          resize: { mode: 'shorter-side+center-crop', shorterSidePx: 256 },
        });
        const reference = output.subarray(at + i * rowBytes, at + (i + 1) * rowBytes);
        if (!reference.equals(row) && !differing.includes(name)) differing.push(name);
      }
    }
    expect(files).toBeGreaterThan(0.9 * readdirSync(folder).length);
    expect(differing).toEqual(Object.keys(DECODED_OTHERWISE).sort());
  });
});
