import { expect, it } from 'vitest';
import { placementOf } from '#core/geometry.ts';
import { emptyKernelMemory } from '#core/image/kernel-memory.ts';
import { placePicture } from '#core/image/place-picture.ts';
import { PreprocessSpec } from '#core/preprocess-spec.ts';

const spec = (resize: object, widthPx: number, heightPx: number) =>
  PreprocessSpec.parse({
    widthPx,
    heightPx,
    resize,
    kernel: 'linear',
    fidelity: 'faithful',
    color: 'srgb',
    background: [255, 255, 255],
  });
const letterbox = { mode: 'letterbox', enlarge: true, align: 'center', pad: [7, 8, 9] };

it.each([
  ['cropped on both sides', { mode: 'shorter-side+center-crop', shorterSidePx: 256 }, 224, 224, 1600, 1200],
  ['cropped above and below', { mode: 'shorter-side+center-crop', shorterSidePx: 64 }, 64, 64, 300, 700],
  ['of long lines', { mode: 'shorter-side+center-crop', shorterSidePx: 32 }, 32, 32, 32_000, 32],
  [
    'smaller than its crop',
    { mode: 'squash+center-crop', scaledWidthPx: 10, scaledHeightPx: 40 },
    16,
    16,
    9,
    9,
  ],
  ['as wide as the target', letterbox, 128, 128, 400, 300],
  ['as high as the target', letterbox, 128, 128, 300, 400],
  ['of the size of the target', { mode: 'squash' }, 50, 40, 10, 10],
] as const)(
  'a picture %s is where its placement says',
  (_, resize, widthPx, heightPx, sourceWidthPx, sourceHeightPx) => {
    const target = spec(resize, widthPx, heightPx);
    const placement = placementOf({ widthPx: sourceWidthPx, heightPx: sourceHeightPx }, target);
    const { scaled, crop, leftPx, topPx } = placement;
    const pixels = Uint8Array.from(
      { length: 3 * scaled.widthPx * scaled.heightPx },
      (_, i) => (i * 7919) >> 3,
    );
    const row = new Uint8Array(3 * widthPx * heightPx).fill(1);
    placePicture(emptyKernelMemory().load(pixels, scaled), placement, target, row);

    const pad = target.resize.mode === 'letterbox' ? target.resize.pad : [0, 0, 0];
    const expected = Uint8Array.from(row, (_, i) => {
      const [x, y] = [Math.floor(i / 3) % widthPx, Math.floor(i / (3 * widthPx))];
      const [fromX, fromY] = [x - leftPx, y - topPx];
      const isPicture = fromX >= 0 && fromX < crop.widthPx && fromY >= 0 && fromY < crop.heightPx;
      if (!isPicture) return pad[i % 3] as number;
      return pixels[3 * ((fromY + crop.topPx) * scaled.widthPx + fromX + crop.leftPx) + (i % 3)] as number;
    });
    expect(Buffer.from(row).equals(Buffer.from(expected))).toBe(true);
  },
);
