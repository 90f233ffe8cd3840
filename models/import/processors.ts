/** What a processor of transformers does where its file says nothing. */
export interface ProcessorDefaults {
  readonly size: number | readonly [heightPx: number, widthPx: number];
  /** Whether a size that is one number means both sides; else it is the shorter one. */
  readonly isSquare: boolean;
  /** PIL.Image.Resampling */
  readonly resample: number;
  /** Side of the crop; `undefined` where it does not crop unless told to. */
  readonly cropPx: number | undefined;
  /** How the size is read before the picture is scaled. */
  readonly scaling?: 'convnext' | 'levit' | 'poolformer';
  readonly cropPct?: number;
  /** `never`: not even where its file says so. */
  readonly normalizes: boolean | 'never';
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** Settings that this processor has and most have not. */
  readonly own?: readonly ('crop_pct' | 'do_flip_channel_order' | 'rescale_offset' | 'include_top')[];
}

const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;
const HALF = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const;
const CLIP = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
} as const;

const [BILINEAR, BICUBIC] = [2, 3] as const;
const SHORTER = { isSquare: false, normalizes: true, resample: BICUBIC } as const;
const SQUARE = { isSquare: true, normalizes: true, resample: BICUBIC } as const;

/**
 * The image processors whose arithmetic is known here, without the ending of their names, and the settings of their
 * classes. Source: huggingface/transformers 5.24.0, src/transformers/models/…/image_processing_pil_….py.
 */
export const PROCESSORS: Readonly<Record<string, ProcessorDefaults>> = {
  Beit: { ...SQUARE, ...HALF, size: 224, cropPx: undefined },
  Bit: { ...SHORTER, ...CLIP, size: 224, cropPx: 224 },
  ChineseCLIP: { ...SHORTER, ...CLIP, size: 224, cropPx: 224 },
  CLIP: { ...SHORTER, ...CLIP, size: 224, cropPx: 224 },
  ConvNext: {
    ...SHORTER,
    ...HALF,
    size: 384,
    cropPx: undefined,
    scaling: 'convnext',
    cropPct: 224 / 256,
    own: ['crop_pct'],
  },
  DeiT: { ...SQUARE, ...HALF, size: 256, cropPx: 224 },
  EfficientNet: {
    ...SQUARE,
    ...HALF,
    size: 346,
    cropPx: undefined,
    own: ['rescale_offset', 'include_top'],
  },
  Levit: { ...SHORTER, ...IMAGENET, size: 224, cropPx: 224, scaling: 'levit' },
  MobileNetV1: { ...SHORTER, ...HALF, resample: BILINEAR, size: 256, cropPx: 224 },
  MobileNetV2: { ...SHORTER, ...HALF, resample: BILINEAR, size: 256, cropPx: 224 },
  MobileViT: {
    ...SHORTER,
    ...HALF,
    normalizes: 'never',
    size: 224,
    cropPx: 256,
    own: ['do_flip_channel_order'],
  },
  PoolFormer: {
    ...SHORTER,
    ...IMAGENET,
    size: 224,
    cropPx: 224,
    scaling: 'poolformer',
    cropPct: 0.9,
    own: ['crop_pct'],
  },
  Pvt: { ...SQUARE, ...IMAGENET, size: 224, cropPx: undefined },
  Siglip: { ...SHORTER, ...HALF, size: [224, 224], cropPx: undefined },
  ViT: { ...SQUARE, ...HALF, resample: BILINEAR, size: 224, cropPx: undefined },
};

/** Which processor a model has whose file names none. Source: the same, models/auto/image_processing_auto.py. */
export const PROCESSOR_OF_MODEL: Readonly<Record<string, string>> = {
  beit: 'Beit',
  bit: 'Bit',
  clip: 'CLIP',
  convnext: 'ConvNext',
  convnextv2: 'ConvNext',
  cvt: 'ConvNext',
  'data2vec-vision': 'Beit',
  deit: 'DeiT',
  dinov2: 'Bit',
  efficientnet: 'EfficientNet',
  focalnet: 'Bit',
  hiera: 'Bit',
  levit: 'Levit',
  mobilenet_v1: 'MobileNetV1',
  mobilenet_v2: 'MobileNetV2',
  mobilevit: 'MobileViT',
  mobilevitv2: 'MobileViT',
  poolformer: 'PoolFormer',
  pvt: 'Pvt',
  pvt_v2: 'Pvt',
  regnet: 'ConvNext',
  resnet: 'ConvNext',
  siglip: 'Siglip',
  swin: 'ViT',
  swinv2: 'ViT',
  vit: 'ViT',
};
