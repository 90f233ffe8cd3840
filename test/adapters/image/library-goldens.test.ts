import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { preprocessImage } from '#adapters/image/preprocess-image.ts';
import { ImageLimits } from '#core/limits.ts';
import type { PreprocessSpec } from '#core/preprocess-spec.ts';
import { NEEDS_SHARED, sharedFolder } from '#test/support/shared-folder.ts';

type Recipe = Pick<PreprocessSpec, 'resize' | 'kernel'> & { readonly sidePx: number };

/** The same as in library_goldens.py. */
const RECIPES: Readonly<Record<string, Recipe>> = {
  'torchvision-256-224-bilinear': {
    sidePx: 224,
    kernel: 'linear',
    resize: { mode: 'shorter-side+center-crop', shorterSidePx: 256 },
  },
  'torchvision-232-199-bicubic': {
    sidePx: 199,
    kernel: 'cubic',
    resize: { mode: 'shorter-side+center-crop', shorterSidePx: 232 },
  },
  'transformers-clip-224-199-bicubic': {
    sidePx: 199,
    kernel: 'cubic',
    resize: { mode: 'shorter-side+center-crop', shorterSidePx: 224, cropOffset: 'floor' },
  },
  'transformers-deit-256-225-bicubic': {
    sidePx: 225,
    kernel: 'cubic',
    resize: {
      mode: 'squash+center-crop',
      scaledWidthPx: 256,
      scaledHeightPx: 256,
      cropOffset: 'floor',
    },
  },
  'transformers-convnext-224-bicubic': {
    sidePx: 224,
    kernel: 'cubic',
    resize: { mode: 'shorter-side+center-crop', shorterSidePx: 256, cropOffset: 'floor' },
  },
  'transformers-vit-224-bilinear': { sidePx: 224, kernel: 'linear', resize: { mode: 'squash' } },
  'timm-squash-0.9-224-bicubic': {
    sidePx: 224,
    kernel: 'cubic',
    resize: { mode: 'squash+center-crop', scaledWidthPx: 248, scaledHeightPx: 248 },
  },
};

/** Where Pillow and the decoders here read other pixels, whatever is made of them then. */
const DECODED_OTHERWISE: Readonly<Record<string, string>> = {
  'avif_colors_hdr_rec2020.avif': 'libavif turns 10-bit BT.2020 into RGB with another rounding',
  'avif_sofa_grid1x5_420.avif': 'libavif and libheif enlarge chroma differently',
  'pil_rot1mir1.avif': 'libavif and libheif enlarge chroma differently',
  'pil_transparency.avif': 'libavif and libheif turn YUV into RGB with another rounding',
  'pil_xmp_tags_orientation_exiftool.png': 'Pillow takes an orientation from XMP too',
};

interface Goldens {
  readonly madeBy: Readonly<Record<string, string>>;
  /** By file name the first 16 hex digits of SHA-256: of the file, and of uint8 RGB as each recipe makes it. */
  readonly files: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

const goldens = JSON.parse(readFileSync(new URL('library-goldens.json', import.meta.url), 'utf8')) as Goldens;
const corpus = sharedFolder('corpus', 'good');
const limits = ImageLimits.parse({});

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

async function rowOf(bytes: Buffer, { sidePx, resize, kernel }: Recipe): Promise<Uint8Array> {
  const row = new Uint8Array(sidePx * sidePx * 3);
  const spec: PreprocessSpec = {
    widthPx: sidePx,
    heightPx: sidePx,
    resize,
    kernel,
    fidelity: 'exact',
    color: 'ignore-profile',
    background: [255, 255, 255],
  };
  const outcome = await preprocessImage(bytes, spec, limits, row);
  if (!outcome.ok) throw new Error(`${outcome.refusal.code}: ${outcome.refusal.detail}`);
  return row;
}

const madeBy = Object.entries(goldens.madeBy).map(([name, version]) => `${name} ${version}`);

describe.skipIf(corpus === undefined)(
  `under fidelity exact no byte of any file in the corpus differs from ${madeBy.join(', ')} ${corpus === undefined ? NEEDS_SHARED : ''}`,
  () => {
    it.each(Object.entries(RECIPES))(
      '%s',
      async (name, recipe) => {
        const differing: string[] = [];
        for (const [file, { sha256, [name]: expected }] of Object.entries(goldens.files)) {
          const bytes = readFileSync(join(corpus as string, file));
          expect(hashOf(bytes), `${file} is another file than that of the goldens`).toBe(sha256);
          if (hashOf(await rowOf(bytes, recipe)) !== expected) differing.push(file);
        }
        expect(Object.keys(goldens.files)).toHaveLength(50);
        expect(differing).toEqual(Object.keys(DECODED_OTHERWISE).sort());
      },
      300_000,
    );
  },
);
