import type { Wishes } from './wishes.ts';

type Preset = Pick<Wishes, 'resize' | 'kernel' | 'channelOrder' | 'scale' | 'mean' | 'std'>;

const PLAIN = { mean: [0, 0, 0], std: [1, 1, 1], channelOrder: 'rgb', kernel: 'linear' } as const;

/** How the usual training set-ups preprocess; each with where its numbers come from. */
export const PRESETS: Readonly<Record<string, Preset>> = {
  /** torchvision's `ImageClassification` preset and timm's IMAGENET_DEFAULT_MEAN and _STD; 256 px, then a crop of 224. */
  imagenet: {
    ...PLAIN,
    scale: 1 / 255,
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
    resize: { mode: 'center-crop', cropFraction: 0.875 },
  },
  /** openai/CLIP, clip/clip.py, `_transform`. */
  clip: {
    ...PLAIN,
    scale: 1 / 255,
    mean: [0.48145466, 0.4578275, 0.40821073],
    std: [0.26862954, 0.26130258, 0.27577711],
    kernel: 'cubic',
    resize: { mode: 'center-crop', cropFraction: 1 },
  },
  /** Keras, keras/src/applications/imagenet_utils.py, mode "caffe": BGR, the means of ImageNet, no scaling. */
  'caffe-bgr': {
    ...PLAIN,
    scale: 1,
    mean: [103.939, 116.779, 123.68],
    channelOrder: 'bgr',
    resize: { mode: 'center-crop', cropFraction: 0.875 },
  },
  /** The same file, mode "tf": −1 to 1. The crop of 0.875 is that of timm's Inception models. */
  'tf-inception': {
    ...PLAIN,
    scale: 1 / 127.5,
    mean: [1, 1, 1],
    resize: { mode: 'center-crop', cropFraction: 0.875 },
  },
  /** 0 to 1, the whole picture squashed into the input, as Keras's and TensorFlow.js's loaders do. */
  'zero-one': { ...PLAIN, scale: 1 / 255, resize: { mode: 'squash' } },
  /** ultralytics/ultralytics, ultralytics/data/augment.py, `LetterBox`: OpenCV, 0 to 1, gray bars of 114 on both sides. */
  yolo: {
    ...PLAIN,
    scale: 1 / 255,
    kernel: 'linear-sampled',
    resize: { mode: 'letterbox', pad: 114, align: 'center' },
  },
  /** Megvii-BaseDetection/YOLOX, yolox/data/data_augment.py, `preproc`: OpenCV, BGR levels, gray to the right and below. */
  yolox: {
    ...PLAIN,
    scale: 1,
    kernel: 'linear-sampled',
    channelOrder: 'bgr',
    resize: { mode: 'letterbox', pad: 114, align: 'start' },
  },
};
