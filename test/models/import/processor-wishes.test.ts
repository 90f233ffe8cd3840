import { describe, expect, it } from 'vitest';
import { ProcessorConfig } from '#models/import/hub-files.ts';
import { processorWishes } from '#models/import/processor-wishes.ts';
import { PROCESSOR_OF_MODEL, PROCESSORS } from '#models/import/processors.ts';
import type { Wishes } from '#models/import/wishes.ts';

const HALF = [0.5, 0.5, 0.5];

/** What a processor of this class does that was saved with these settings. */
const wishesOf = (type: string, settings: object = {}, told: Pick<Wishes, 'kernel'> = {}): Wishes =>
  processorWishes(
    ProcessorConfig.parse({ image_processor_type: `${type}ImageProcessor`, ...settings }),
    undefined,
    told,
  );

describe('an image processor of transformers', () => {
  it('squashes where both sides are told, as ViT does', () => {
    expect(wishesOf('ViT', { size: { height: 224, width: 288 } })).toMatchObject({
      widthPx: 288,
      heightPx: 224,
      resize: { mode: 'squash' },
      kernel: 'linear',
      channelOrder: 'rgb',
      scale: 1 / 255,
      mean: HALF,
      std: HALF,
    });
  });

  it('scales the shorter side and crops at the rounded down offset, as CLIP does', () => {
    const clip = { size: { shortest_edge: 256 }, crop_size: { height: 224, width: 200 } };
    expect(wishesOf('CLIP', clip)).toMatchObject({
      widthPx: 200,
      heightPx: 224,
      resize: { mode: 'center-crop', shorterSidePx: 256, cropOffset: 'floor' },
      kernel: 'cubic',
    });
  });

  it('scales both sides and then crops, as DeiT does', () => {
    expect(wishesOf('DeiT', { size: 256, crop_size: 224 })).toMatchObject({
      widthPx: 224,
      heightPx: 224,
      resize: { mode: 'squash-crop', scaledWidthPx: 256, scaledHeightPx: 256, cropOffset: 'floor' },
    });
  });

  it.each([
    ['DeiT', { mode: 'squash-crop', scaledWidthPx: 256, scaledHeightPx: 256 }],
    ['CLIP', { mode: 'center-crop', shorterSidePx: 256 }],
  ])('means by a number what the class means by it: %s', (type, resize) => {
    expect(wishesOf(type, { size: 256 }).resize).toMatchObject(resize);
  });

  it('means the other thing where its file says so', () => {
    expect(wishesOf('CLIP', { size: 256, default_to_square: true }).resize).toMatchObject({
      mode: 'squash-crop',
    });
  });

  it('scales by crop_pct and crops below 384 px, and squashes from there on, as ConvNeXT does', () => {
    expect(wishesOf('ConvNext', { size: { shortest_edge: 224 }, crop_pct: 0.875 })).toMatchObject({
      widthPx: 224,
      resize: { mode: 'center-crop', shorterSidePx: 256, cropOffset: 'floor' },
    });
    // 288 / 0.95 is 303.2.
    expect(wishesOf('ConvNext', { size: 288, crop_pct: 0.95 }).resize).toMatchObject({ shorterSidePx: 303 });
    expect(wishesOf('ConvNext', { size: { shortest_edge: 384 } })).toMatchObject({
      widthPx: 384,
      resize: { mode: 'squash' },
    });
  });

  it('scales as LeViT and PoolFormer do', () => {
    expect(wishesOf('Levit').resize).toMatchObject({ mode: 'center-crop', shorterSidePx: 256 });
    expect(wishesOf('PoolFormer').resize).toMatchObject({ mode: 'center-crop', shorterSidePx: 248 });
    expect(wishesOf('PoolFormer', { size: { height: 224, width: 224 } }).resize).toMatchObject({
      shorterSidePx: 248,
    });
  });

  it('feeds BGR without mean and std, as MobileViT does', () => {
    const plain = { scale: 1 / 255, mean: [0, 0, 0], std: [1, 1, 1] };
    expect(wishesOf('MobileViT', { do_flip_channel_order: true })).toMatchObject({
      ...plain,
      channelOrder: 'bgr',
    });
    expect(wishesOf('MobileViT', { do_flip_channel_order: false, image_mean: HALF })).toMatchObject({
      ...plain,
      channelOrder: 'rgb',
    });
  });

  it('takes off 1, and divides by std once more, as EfficientNet does', () => {
    const scaled = { rescale_factor: 1 / 127.5, rescale_offset: true, image_mean: 0, image_std: 0.5 };
    expect(wishesOf('EfficientNet', { ...scaled, include_top: false })).toMatchObject({
      scale: 1 / 127.5,
      mean: [1, 1, 1],
      std: HALF,
    });
    expect(wishesOf('EfficientNet', { ...scaled, include_top: true })).toMatchObject({
      mean: [1, 1, 1],
      std: [0.25, 0.25, 0.25],
    });
    expect(wishesOf('EfficientNet', { do_normalize: false })).toMatchObject({
      mean: [0, 0, 0],
      std: HALF,
    });
  });

  it('normalizes by the mean and std of its class where its file has none', () => {
    expect(wishesOf('CLIP', { do_normalize: true })).toMatchObject({
      mean: [0.48145466, 0.4578275, 0.40821073],
      std: [0.26862954, 0.26130258, 0.27577711],
    });
  });

  it('leaves levels alone where it neither rescales nor normalizes', () => {
    expect(wishesOf('ViT', { do_rescale: false, do_normalize: false })).toMatchObject({
      scale: 1,
      mean: [0, 0, 0],
      std: [1, 1, 1],
    });
  });

  it('is known by its older and its faster name, and by the model where its file has none', () => {
    const old = ProcessorConfig.parse({ feature_extractor_type: 'CLIPFeatureExtractor', size: 224 });
    expect(processorWishes(old, undefined, {})).toMatchObject({ widthPx: 224, kernel: 'cubic' });
    const fast = ProcessorConfig.parse({ image_processor_type: 'ViTImageProcessorFast' });
    expect(processorWishes(fast, undefined, {})).toMatchObject({ resize: { mode: 'squash' } });
    const nameless = ProcessorConfig.parse({ size: 224 });
    expect(processorWishes(nameless, 'resnet', {})).toMatchObject({
      resize: { mode: 'center-crop', shorterSidePx: 256 },
    });
    expect(() => processorWishes(nameless, 'other', {})).toThrow(/does not say whose it is/);
    for (const name of Object.values(PROCESSOR_OF_MODEL)) expect(PROCESSORS[name]).toBeDefined();
  });

  it.each<[string, object, RegExp]>([
    ['Foo', {}, /is of "FooImageProcessor", whose arithmetic is not known here.*--preset/],
    ['ViT', { do_pad: true, size_divisor: 32 }, /asks for do_pad, size_divisor, which is not to be had here/],
    ['ViT', { do_flip_channel_order: true }, /asks for do_flip_channel_order/],
    ['CLIP', { crop_pct: 0.9 }, /asks for crop_pct/],
    ['CLIP', { auto_map: { AutoImageProcessor: 'x.Y' } }, /asks for auto_map/],
    ['CLIP', { do_center_crop: false }, /not to crop, which gives inputs of any size/],
    ['CLIP', { crop_size: { shortest_edge: 224 } }, /a crop without its "height" and "width"/],
    ['ConvNext', { size: { height: 224, width: 224 } }, /a size without "shortest_edge"/],
    ['PoolFormer', { size: { height: 224, width: 192 } }, /a size that is no square/],
    ['ViT', { resample: 4 }, /resample 4 \(box or Hamming\).*--kernel/],
  ])('is refused for what is not to be had: %s %o', (type, settings, reason) => {
    expect(() => wishesOf(type, settings)).toThrow(reason);
  });

  it('takes its kernel from a flag, and does not mind what is off', () => {
    expect(wishesOf('ViT', { resample: 4 }, { kernel: 'linear' }).kernel).toBe('linear');
    expect(wishesOf('ViT', { do_pad: false, pad_size: null, crop_pct: null }).widthPx).toBe(224);
  });
});
