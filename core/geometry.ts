import type { CropOffset, PreprocessSpec } from './preprocess-spec.ts';

/** A size in pixels. */
export interface Size {
  readonly widthPx: number;
  readonly heightPx: number;
}

/**
 * Where a picture ends up in the target tensor: it is scaled to `scaled`, `crop` is cut out of that (in
 * scaled pixels), and the crop is laid into the target at (`leftPx`, `topPx`). Everything else is padding.
 */
export interface Placement {
  readonly scaled: Size;
  readonly crop: Size & { readonly leftPx: number; readonly topPx: number };
  readonly leftPx: number;
  readonly topPx: number;
}

/**
 * The placement of an upright picture of `source` pixels under a spec.
 *
 * The long side of a picture whose shorter side is told is trunc(shorter side · long / short), as in torchvision's
 * Resize and in huggingface/transformers, src/transformers/image_transforms.py, `get_resize_output_image_size`.
 *
 * A crop is cut out at round-half-to-even((side − crop) / 2), and pictures smaller than it are padded with black at
 * floor((crop − side) / 2): torchvision's CenterCrop (torchvision/transforms/functional.py, `center_crop`). With
 * `cropOffset: "floor"` both are as in transformers' `center_crop` in the same file: at (side − crop) // 2, and at
 * ceil((crop − side) / 2).
 */
export function placementOf(source: Size, spec: PreprocessSpec): Placement {
  const target: Size = { widthPx: spec.widthPx, heightPx: spec.heightPx };
  switch (spec.resize.mode) {
    case 'squash':
      return whole(target, 0, 0);
    case 'letterbox': {
      const fit = Math.min(target.widthPx / source.widthPx, target.heightPx / source.heightPx);
      const scale = spec.resize.enlarge ? fit : Math.min(1, fit);
      const scaled: Size = {
        widthPx: clamp(Math.round(source.widthPx * scale), 1, target.widthPx),
        heightPx: clamp(Math.round(source.heightPx * scale), 1, target.heightPx),
      };
      if (spec.resize.align === 'start') return whole(scaled, 0, 0);
      return whole(
        scaled,
        Math.floor((target.widthPx - scaled.widthPx) / 2),
        Math.floor((target.heightPx - scaled.heightPx) / 2),
      );
    }
    case 'shorter-side+center-crop': {
      const { shorterSidePx, cropOffset } = spec.resize;
      return centerCrop(scaledToShorterSide(source, shorterSidePx), target, cropOffset);
    }
    case 'squash+center-crop': {
      const { scaledWidthPx, scaledHeightPx, cropOffset } = spec.resize;
      return centerCrop({ widthPx: scaledWidthPx, heightPx: scaledHeightPx }, target, cropOffset);
    }
  }
}

function whole(scaled: Size, leftPx: number, topPx: number): Placement {
  return { scaled, crop: { leftPx: 0, topPx: 0, ...scaled }, leftPx, topPx };
}

function scaledToShorterSide(source: Size, shorterSidePx: number): Size {
  const { widthPx, heightPx } = source;
  if (widthPx <= heightPx) {
    return { widthPx: shorterSidePx, heightPx: Math.trunc((shorterSidePx * heightPx) / widthPx) };
  }
  return { widthPx: Math.trunc((shorterSidePx * widthPx) / heightPx), heightPx: shorterSidePx };
}

function centerCrop(scaled: Size, target: Size, cropOffset: CropOffset | undefined): Placement {
  const x = centerCropOf(scaled.widthPx, target.widthPx, cropOffset);
  const y = centerCropOf(scaled.heightPx, target.heightPx, cropOffset);
  return {
    scaled,
    crop: { leftPx: x.from, topPx: y.from, widthPx: x.length, heightPx: y.length },
    leftPx: x.to,
    topPx: y.to,
  };
}

function centerCropOf(
  side: number,
  target: number,
  cropOffset: CropOffset | undefined,
): { from: number; to: number; length: number } {
  const isFloor = cropOffset === 'floor';
  const half = (side - target) / 2;
  if (side < target) return { from: 0, to: isFloor ? Math.ceil(-half) : Math.floor(-half), length: side };
  return { from: isFloor ? Math.floor(half) : roundHalfToEven(half), to: 0, length: target };
}

function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const fraction = value - floor;
  if (fraction !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
