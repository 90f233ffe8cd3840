import type { ImageFacts } from './audit-record.ts';
import type { Measures } from './policy.ts';

/** The measures that one image has by itself: its model's scores, and its size and shape. */
export function imageMeasures(
  facts: Pick<ImageFacts, 'widthPx' | 'heightPx' | 'bytes'>,
  scores: Readonly<Record<string, number>>,
): Measures {
  const { widthPx, heightPx } = facts;
  if (widthPx === null || heightPx === null) return {};
  return {
    ...scores,
    width: widthPx,
    height: heightPx,
    bytes: facts.bytes,
    aspect_ratio: Math.min(widthPx / heightPx, heightPx / widthPx),
  };
}

/** Measures that every image has by itself, whatever the model: those of {@link imageMeasures} beside its scores. */
export const IMAGE_MEASURES = ['width', 'height', 'bytes', 'aspect_ratio'] as const;

/** Measures that an image has once the whole job is known. */
export const JOB_MEASURES = ['odd_size', 'exact_duplicate', 'near_duplicate'] as const;
