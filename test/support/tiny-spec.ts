import { PreprocessSpec } from '#core/preprocess-spec.ts';

/** A picture of 8 px, squashed: for tests that look at anything but the pixels. */
export const TINY_SPEC = PreprocessSpec.parse({
  widthPx: 8,
  heightPx: 8,
  resize: { mode: 'squash' },
  kernel: 'linear',
  color: 'srgb',
  background: [0, 0, 0],
});
