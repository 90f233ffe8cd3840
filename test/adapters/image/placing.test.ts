import { describe, expect, it } from 'vitest';
import type { PreprocessSpec } from '#core/preprocess-spec.ts';
import { at, expectNear, preprocessed, quarters, squash8 } from './pictures.ts';

describe('where a picture lands in its row', () => {
  it('letterbox pads with its colour, and leaves a small picture small when told to', async () => {
    const resize: PreprocessSpec['resize'] = {
      mode: 'letterbox',
      pad: [1, 2, 3],
      align: 'start',
      enlarge: false,
    };
    const { row } = await preprocessed(await quarters(4, 2).png().toBuffer(), { ...squash8, resize });
    expect([at(row, 0, 0), at(row, 3, 1), at(row, 4, 0), at(row, 0, 2)]).toEqual([
      [200, 0, 0],
      [99, 99, 99],
      [1, 2, 3],
      [1, 2, 3],
    ]);
  });

  it('letterbox centres a picture that is scaled to fit', async () => {
    const resize: PreprocessSpec['resize'] = {
      mode: 'letterbox',
      pad: [0, 0, 0],
      align: 'center',
      enlarge: true,
    };
    const { row } = await preprocessed(await quarters(32, 16).png().toBuffer(), { ...squash8, resize });
    expect([at(row, 0, 0), at(row, 0, 7)]).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
    expectNear(at(row, 1, 2), [200, 0, 0]);
    expectNear(at(row, 6, 5), [99, 99, 99]);
  });
});
