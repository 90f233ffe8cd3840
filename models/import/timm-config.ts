import { SluiceError } from '#core/error.ts';
import type { PreprocessSpec } from '#core/preprocess-spec.ts';
import { type TimmConfig, WAY_OUT } from './hub-files.ts';
import type { Wishes } from './wishes.ts';

const KERNELS: Readonly<Record<string, PreprocessSpec['kernel']>> = {
  bilinear: 'linear',
  bicubic: 'cubic',
  lanczos: 'lanczos3',
  nearest: 'nearest',
};

/** What timm takes where `pretrained_cfg` says nothing: timm/data/config.py, `resolve_data_config`, and constants.py. */
const DEFAULTS = {
  input_size: [3, 224, 224],
  interpolation: 'bicubic',
  crop_pct: 0.875,
  crop_mode: 'center',
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
} as const;

/**
 * `pretrained_cfg` of huggingface/pytorch-image-models as timm/data/transforms_factory.py, `transforms_imagenet_eval`,
 * reads it.
 *
 * @throws SluiceError `model-invalid` where it asks for what is not to be had.
 */
export function timmWishes(timm: TimmConfig, told: Pick<Wishes, 'kernel'>): Wishes {
  const [channels, heightPx, widthPx] = timm.input_size ?? DEFAULTS.input_size;
  if (channels !== 3) throw invalid(`input_size of ${channels} channels: only those of 3 (RGB) can be fed`);
  const interpolation = timm.interpolation ?? DEFAULTS.interpolation;
  const kernel = told.kernel ?? KERNELS[interpolation];
  if (kernel === undefined)
    throw invalid(`interpolation "${interpolation}", which is not to be had: pass --kernel`);
  return {
    widthPx,
    heightPx,
    resize: resizeOf(timm, { widthPx, heightPx }),
    kernel,
    channelOrder: 'rgb',
    scale: 1 / 255,
    mean: triple(timm.mean ?? DEFAULTS.mean),
    std: triple(timm.std ?? DEFAULTS.std),
  };
}

function resizeOf(
  timm: TimmConfig,
  { widthPx, heightPx }: { widthPx: number; heightPx: number },
): NonNullable<Wishes['resize']> {
  const cropFraction = timm.crop_pct ?? DEFAULTS.crop_pct;
  const mode = timm.crop_mode ?? DEFAULTS.crop_mode;
  const scaled = (sidePx: number): number => Math.floor(sidePx / cropFraction);
  if (mode === 'squash') {
    return cropFraction === 1
      ? { mode: 'squash' }
      : { mode: 'squash-crop', scaledWidthPx: scaled(widthPx), scaledHeightPx: scaled(heightPx) };
  }
  if (mode !== 'center')
    throw invalid(`crop_mode "${mode}", which is not to be had (center and squash are). ${WAY_OUT}`);
  if (widthPx !== heightPx)
    throw invalid(
      `an input of ${widthPx} × ${heightPx} px with crop_mode "center", for which timm scales in a way that is not to be had (it is for squares). ${WAY_OUT}`,
    );
  return { mode: 'center-crop', shorterSidePx: scaled(widthPx) };
}

function triple([a, b, c]: readonly number[]): [number, number, number] {
  return [a as number, b as number, c as number];
}

function invalid(what: string): SluiceError {
  return new SluiceError('model-invalid', `pretrained_cfg in config.json asks for ${what}`);
}
