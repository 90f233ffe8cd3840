import { describe, expect, it } from 'vitest';
import { placementOf, type Size } from '#core/geometry.ts';
import { PreprocessSpec } from '#core/preprocess-spec.ts';

const placed = (resize: PreprocessSpec['resize'], source: Size, sidePx = 8) => {
  const plain = { kernel: 'linear', color: 'srgb', background: [0, 0, 0] } as const;
  return placementOf(source, PreprocessSpec.parse({ widthPx: sidePx, heightPx: sidePx, resize, ...plain }));
};

describe('the crop of a scaled picture', () => {
  // 11 and 13 px leave 3 and 5 px out: halves of 1.5 and 2.5.
  const wide = { mode: 'squash+center-crop', scaledWidthPx: 11, scaledHeightPx: 13 } as const;

  it('lies at the half rounded to the even number, as in torchvision', () => {
    expect(placed(wide, { widthPx: 100, heightPx: 100 })).toEqual({
      scaled: { widthPx: 11, heightPx: 13 },
      crop: { leftPx: 2, topPx: 2, widthPx: 8, heightPx: 8 },
      leftPx: 0,
      topPx: 0,
    });
  });

  it('lies at the half rounded down, as in transformers', () => {
    const { crop } = placed({ ...wide, cropOffset: 'floor' }, { widthPx: 100, heightPx: 100 });
    expect(crop).toEqual({ leftPx: 1, topPx: 2, widthPx: 8, heightPx: 8 });
    const shorter = { mode: 'shorter-side+center-crop', shorterSidePx: 9 } as const;
    const source = { widthPx: 110, heightPx: 90 };
    expect(placed(shorter, source).crop).toMatchObject({ leftPx: 2, topPx: 0 });
    expect(placed({ ...shorter, cropOffset: 'floor' }, source).crop).toMatchObject({ leftPx: 1, topPx: 0 });
  });

  it('is padded where the picture is smaller: one pixel less on the left in torchvision, one more in transformers', () => {
    const small = { mode: 'shorter-side+center-crop', shorterSidePx: 5 } as const;
    const source = { widthPx: 50, heightPx: 50 };
    expect(placed(small, source)).toMatchObject({ leftPx: 1, topPx: 1, crop: { leftPx: 0, widthPx: 5 } });
    expect(placed({ ...small, cropOffset: 'floor' }, source)).toMatchObject({
      leftPx: 2,
      topPx: 2,
      crop: { leftPx: 0, widthPx: 5 },
    });
  });
});
