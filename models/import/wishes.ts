import type { CropOffset, PreprocessSpec } from '#core/preprocess-spec.ts';

/** How a picture gets into the input, before the input's size is known. */
export type ResizeWish =
  | { readonly mode: 'squash' }
  /** The shorter side is scaled to `shorterSidePx`, or else to the input's side / `cropFraction`. */
  | {
      readonly mode: 'center-crop';
      readonly shorterSidePx?: number;
      readonly cropFraction?: number;
      readonly cropOffset?: CropOffset;
    }
  /** Both sides are scaled to these, whatever the aspect ratio, and the centre is cut out. */
  | {
      readonly mode: 'squash-crop';
      readonly scaledWidthPx: number;
      readonly scaledHeightPx: number;
      readonly cropOffset?: CropOffset;
    }
  | { readonly mode: 'letterbox'; readonly pad: number; readonly align: 'center' | 'start' };

type Triple = readonly [number, number, number];

export const DECODES = [
  'scores',
  'softmax',
  'sigmoid',
  'yolo-v5',
  'yolo-v8',
  'yolox',
  'ssd',
  'nms-rows',
  'nms-parts',
] as const;
export type Decode = (typeof DECODES)[number];

/**
 * What is told of a model beside its graph: by flags, by a preset, by the files beside it. Whatever is undefined was
 * not told.
 */
export interface Wishes {
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  readonly license?: string | undefined;
  readonly source?: string | undefined;
  readonly widthPx?: number | undefined;
  readonly heightPx?: number | undefined;
  readonly resize?: ResizeWish | undefined;
  readonly kernel?: PreprocessSpec['kernel'] | undefined;
  readonly fidelity?: PreprocessSpec['fidelity'] | undefined;
  readonly layout?: 'nchw' | 'nhwc' | undefined;
  readonly channelOrder?: 'rgb' | 'bgr' | undefined;
  /** The input is (level · scale − mean) / std, level 0–255, in the model's channel order. */
  readonly scale?: number | undefined;
  readonly mean?: Triple | undefined;
  readonly std?: Triple | undefined;
  /** As people wrote them; they become the names of scores. */
  readonly labels?: readonly string[] | undefined;
  readonly decode?: Decode | undefined;
  /** The output to read, where there are several. */
  readonly output?: string | undefined;
  readonly topK?: number | undefined;
  readonly boxFormat?: 'xyxy' | 'yxyx' | 'cxcywh' | undefined;
  readonly boxUnit?: 'pixels' | 'normalized' | undefined;
  readonly minScore?: number | undefined;
  readonly maxOverlap?: number | undefined;
  readonly maxDetections?: number | undefined;
}

/** The first source that tells a thing wins. */
export function mergeWishes(...sources: readonly Wishes[]): Wishes {
  const merged: Record<string, unknown> = {};
  for (const source of sources)
    for (const [key, value] of Object.entries(source)) if (value !== undefined) merged[key] ??= value;
  return merged as Wishes;
}
