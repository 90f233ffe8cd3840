import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { unplacer } from '#core/decode/unplace-box.ts';
import { placementOf } from '#core/geometry.ts';
import { PreprocessSpec } from '#core/preprocess-spec.ts';

function spec(resize: PreprocessSpec['resize'], widthPx = 320, heightPx = 240): PreprocessSpec {
  return PreprocessSpec.parse({
    widthPx,
    heightPx,
    resize,
    kernel: 'linear',
    color: 'srgb',
    background: [0, 0, 0],
  });
}

const RESIZES: PreprocessSpec['resize'][] = [
  { mode: 'squash' },
  { mode: 'letterbox', pad: [0, 0, 0], align: 'center', enlarge: true },
  { mode: 'letterbox', pad: [0, 0, 0], align: 'start', enlarge: false },
  { mode: 'shorter-side+center-crop', shorterSidePx: 256 },
  { mode: 'shorter-side+center-crop', shorterSidePx: 255, cropOffset: 'floor' },
  { mode: 'squash+center-crop', scaledWidthPx: 365, scaledHeightPx: 201 },
];

describe('taking boxes back to the original', () => {
  it('finds the whole picture between the bars of a letterbox', () => {
    const letterbox = spec(
      { mode: 'letterbox', pad: [114, 114, 114], align: 'center', enlarge: true },
      640,
      640,
    );
    // 1280 × 720 becomes 640 × 360, with bars of 140.
    const unplace = unplacer({ widthPx: 1280, heightPx: 720 }, letterbox);
    expect(unplace(0, 140, 640, 500)).toEqual({ leftPx: 0, topPx: 0, rightPx: 1280, bottomPx: 720 });
    expect(unplace(320, 320, 330, 330)).toEqual({ leftPx: 640, topPx: 360, rightPx: 660, bottomPx: 380 });
  });

  it('cuts boxes off at the edges of the original', () => {
    const unplace = unplacer({ widthPx: 100, heightPx: 50 }, spec({ mode: 'squash' }));
    expect(unplace(-10, -10, 400, 400)).toEqual({ leftPx: 0, topPx: 0, rightPx: 100, bottomPx: 50 });
  });

  it('is the inverse of the placement, whatever the size of the original', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...RESIZES),
        fc.integer({ min: 1, max: 5000 }),
        fc.integer({ min: 1, max: 5000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (resize, widthPx, heightPx, u, v) => {
          const { scaled, crop, leftPx, topPx } = placementOf({ widthPx, heightPx }, spec(resize));
          const [x, y] = [u * widthPx, v * heightPx];
          const inputX = (x * scaled.widthPx) / widthPx - crop.leftPx + leftPx;
          const inputY = (y * scaled.heightPx) / heightPx - crop.topPx + topPx;
          const box = unplacer({ widthPx, heightPx }, spec(resize))(inputX, inputY, inputX, inputY);
          expect(box.leftPx).toBeCloseTo(x, 6);
          expect(box.topPx).toBeCloseTo(y, 6);
        },
      ),
    );
  });
});
