import type { z } from 'zod';
import type { ModelManifest } from '#core/model-manifest.ts';
import { QUALITY_SCORES } from './graph.ts';
import { SIDE_PX } from './tensor-size.ts';

/**
 * The manifest of the model `quality`, given the SHA-256 of its ONNX file. Thresholds without a comment are those
 * of CleanVision 0.3.7.
 */
export function qualityManifest(sha256: string): z.input<typeof ModelManifest> {
  return {
    schema: 1,
    name: 'quality',
    description:
      'Image quality without training: dark, bright, blurry, low-information and grayscale images, with the semantics of CleanVision.',
    license: 'Apache-2.0',
    source:
      'built by models/build.ts; the checks follow CleanVision 0.3.7 (https://github.com/cleanlab/cleanvision)',
    file: 'quality.onnx',
    sha256,
    preprocess: {
      widthPx: SIDE_PX,
      heightPx: SIDE_PX,
      resize: { mode: 'letterbox', pad: [0, 0, 0], align: 'start', enlarge: false },
      kernel: 'linear',
      fidelity: 'faithful',
      color: 'srgb',
      background: [255, 255, 255],
    },
    inputs: [
      { name: 'images', from: 'pixels' },
      { name: 'content_size', from: 'content-size' },
    ],
    outputs: [{ name: 'scores', decode: 'scores', labels: [...QUALITY_SCORES] }],
    policy: {
      rules: [
        { check: 'dark', when: { measure: 'dark', below: 0.32 }, verdict: 'review' },
        { check: 'bright', when: { measure: 'bright', above: 0.95 }, verdict: 'review' },
        {
          check: 'blurry',
          // CleanVision's rule alone also flags what is smooth but in focus: skies, beaches, portraits. Out of focus
          // (Gaussian sigma of 1.5 % of the longer side or more) the sharpness is 0.23–0.41, and in focus at least 0.55.
          when: {
            all: [
              { measure: 'blur', below: 0.29 },
              { measure: 'sharpness', below: 0.45 },
            ],
          },
          verdict: 'review',
        },
        { check: 'low_information', when: { measure: 'information', below: 3 }, verdict: 'review' },
        {
          check: 'grayscale',
          // Gray pictures stored as color have a mean chroma up to 0.02 levels (WebP; 0 for JPEG and AVIF), up to 1
          // with a small colored mark. Nearly black or washed-out pictures that still show their colors have over 2.3.
          when: { measure: 'chroma', below: 1.5 },
          // Nothing to review about a black-and-white photograph: shown, not queued.
          verdict: 'pass',
        },
        { check: 'odd_aspect_ratio', when: { measure: 'aspect_ratio', below: 0.35 }, verdict: 'review' },
        { check: 'odd_size', when: { measure: 'odd_size', above: 0.5 }, verdict: 'review' },
        { check: 'exact_duplicate', when: { measure: 'exact_duplicate', above: 0.5 }, verdict: 'review' },
        { check: 'near_duplicate', when: { measure: 'near_duplicate', above: 0.5 }, verdict: 'review' },
      ],
    },
  };
}
