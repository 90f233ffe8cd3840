import { SluiceError } from '#core/error.ts';
import type { PreprocessSpec } from '#core/preprocess-spec.ts';
import { type ProcessorConfig, type ProcessorSize, unknownSettings, WAY_OUT } from './hub-files.ts';
import { PROCESSOR_OF_MODEL, PROCESSORS, type ProcessorDefaults } from './processors.ts';
import type { ResizeWish, Wishes } from './wishes.ts';

/** Pillow's numbers of resampling filters (PIL.Image.Resampling); 4 (box) and 5 (Hamming) have no like here. */
const KERNELS: readonly (PreprocessSpec['kernel'] | undefined)[] = ['nearest', 'lanczos3', 'linear', 'cubic'];

/**
 * What an image processor of transformers does with pictures: what its file says, else what its class does.
 *
 * @param modelType of `config.json`, which tells the processor where its own file does not.
 * @throws SluiceError `model-invalid` where it is an unknown one, or is asked for what is not to be had.
 */
export function processorWishes(
  config: ProcessorConfig,
  modelType: string | null | undefined,
  told: Pick<Wishes, 'kernel'>,
): Wishes {
  const name = processorName(config, modelType);
  const defaults = PROCESSORS[name] as ProcessorDefaults;
  refuseSettings(config, name, defaults);
  const geometry = geometryOf(config, name, defaults);
  return {
    ...geometry,
    resize: config.do_resize === false ? undefined : geometry.resize,
    kernel: told.kernel ?? kernelOf(config.resample ?? defaults.resample),
    ...arithmeticOf(config, defaults),
  };
}

function processorName(config: ProcessorConfig, modelType: string | null | undefined): string {
  const type = config.image_processor_type ?? config.feature_extractor_type;
  const known = Object.keys(PROCESSORS).join(', ');
  if (type == null) {
    const name = PROCESSOR_OF_MODEL[modelType ?? ''];
    if (name !== undefined) return name;
    throw invalid(
      `does not say whose it is: expected image_processor_type, or a model_type in config.json that has one of ${known}. ${WAY_OUT}`,
    );
  }
  const name = type.replace(/(ImageProcessor(Fast|Pil)?|FeatureExtractor)$/, '');
  if (PROCESSORS[name] !== undefined) return name;
  throw invalid(`is of "${type}", whose arithmetic is not known here (that of ${known} is). ${WAY_OUT}`);
}

/** What a processor does not know it leaves alone, but then the file was made for another one. */
function refuseSettings(config: ProcessorConfig, name: string, { own = [] }: ProcessorDefaults): void {
  const others = (['crop_pct', 'do_flip_channel_order', 'rescale_offset', 'include_top'] as const).filter(
    (key) => !own.includes(key) && config[key] != null && config[key] !== false,
  );
  const settings = [...unknownSettings(config), ...others];
  if (settings.length > 0)
    throw invalid(
      `asks for ${settings.join(', ')}, which is not to be had here with the processor of ${name}. ${WAY_OUT}`,
    );
}

type Geometry = Pick<Wishes, 'widthPx' | 'heightPx' | 'resize'>;
type Sides = readonly [widthPx: number, heightPx: number];

function geometryOf(config: ProcessorConfig, name: string, defaults: ProcessorDefaults): Geometry {
  const size = sizeOf(config.size ?? defaults.size, config.default_to_square ?? defaults.isSquare);
  const crops = config.do_center_crop ?? defaults.cropPx !== undefined;
  const crop = crops ? cropOf(config.crop_size ?? defaults.cropPx) : undefined;
  const cropPct = config.crop_pct ?? defaults.cropPct ?? 1;
  const { scaling = 'plain' } = defaults;
  switch (scaling) {
    case 'plain':
      return scaledAndCropped(size, crop, name);
    case 'levit':
      // "int((256 / 224) * shortest_edge)"
      return scaledAndCropped(typeof size === 'number' ? Math.trunc((256 / 224) * size) : size, crop, name);
    case 'poolformer': {
      const shorter = typeof size === 'number' ? size : size[0] === size[1] ? size[0] : undefined;
      if (shorter === undefined)
        throw invalid(
          `asks ${name} for a size that is no square: ${JSON.stringify(config.size)}. ${WAY_OUT}`,
        );
      return scaledAndCropped(Math.trunc(shorter / cropPct), crop, name);
    }
    case 'convnext': {
      if (typeof size !== 'number')
        throw invalid(
          `asks ${name} for a size without "shortest_edge": ${JSON.stringify(config.size)}. ${WAY_OUT}`,
        );
      const sides: Sides = [size, size];
      if (crop !== undefined && crop.join() !== sides.join())
        throw invalid(`asks ${name} for a crop beside its own one. ${WAY_OUT}`);
      // Below 384 px it scales to the size / crop_pct and crops, else it squashes.
      return size < 384
        ? scaledAndCropped(Math.trunc(size / cropPct), sides, name)
        : scaledAndCropped(sides, undefined, name);
    }
  }
}

/** @param size both sides, or the shorter one. */
function scaledAndCropped(size: Sides | number, crop: Sides | undefined, name: string): Geometry {
  if (typeof size === 'number') {
    if (crop === undefined)
      throw invalid(
        `asks ${name} to scale the shorter side to ${size} px and not to crop, which gives inputs of any size. ${WAY_OUT}`,
      );
    return cropped(crop, { mode: 'center-crop', shorterSidePx: size, cropOffset: 'floor' });
  }
  const [scaledWidthPx, scaledHeightPx] = size;
  if (crop === undefined || crop.join() === size.join()) return cropped(size, { mode: 'squash' });
  return cropped(crop, { mode: 'squash-crop', scaledWidthPx, scaledHeightPx, cropOffset: 'floor' });
}

function cropped([widthPx, heightPx]: Sides, resize: ResizeWish): Geometry {
  return { widthPx, heightPx, resize };
}

function sizeOf(size: ProcessorSize | ProcessorDefaults['size'], isSquare: boolean): Sides | number {
  if (typeof size === 'number') return isSquare ? [size, size] : size;
  if ('height' in size) return [size.width, size.height];
  if ('shortest_edge' in size) return size.shortest_edge;
  return [size[1], size[0]];
}

function cropOf(size: ProcessorSize | undefined): Sides {
  // A processor crops both sides, whatever one number means for scaling.
  const sides = size === undefined ? undefined : sizeOf(size, true);
  if (sides === undefined || typeof sides === 'number')
    throw invalid(`asks for a crop without its "height" and "width". ${WAY_OUT}`);
  return sides;
}

function kernelOf(resample: number): PreprocessSpec['kernel'] {
  const kernel = KERNELS[resample];
  if (kernel === undefined)
    throw invalid(`wants resample ${resample} (box or Hamming), which is not to be had: pass --kernel`);
  return kernel;
}

/** Level · scale − offset, then less the mean and by std; of EfficientNet for classification by std once more. */
function arithmeticOf(
  config: ProcessorConfig,
  defaults: ProcessorDefaults,
): Pick<Wishes, 'channelOrder' | 'scale' | 'mean' | 'std'> {
  const { own = [] } = defaults;
  const rescales = config.do_rescale ?? true;
  const normalizes = defaults.normalizes !== 'never' && (config.do_normalize ?? defaults.normalizes);
  const offset = rescales && config.rescale_offset === true ? 1 : 0;
  const again = own.includes('include_top') && (config.include_top ?? true);
  const mean = config.image_mean ?? defaults.mean;
  const std = config.image_std ?? defaults.std;
  const triple = (of: (channel: number) => number): [number, number, number] => [of(0), of(1), of(2)];
  return {
    channelOrder:
      own.includes('do_flip_channel_order') && (config.do_flip_channel_order ?? true) ? 'bgr' : 'rgb',
    scale: rescales ? (config.rescale_factor ?? 1 / 255) : 1,
    mean: triple((i) => offset + (normalizes ? (mean[i] as number) : 0)),
    std: triple((i) => (normalizes ? (std[i] as number) : 1) * (again ? (std[i] as number) : 1)),
  };
}

function invalid(what: string): SluiceError {
  return new SluiceError('model-invalid', `preprocessor_config.json ${what}`);
}
