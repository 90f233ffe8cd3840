import type { PreprocessSpec } from './preprocess-spec.ts';

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
 * The geometry of `shorter-side+center-crop` is torchvision's (Resize: long side = trunc(shorter side ·
 * long / short); CenterCrop: offset = round-half-to-even((side − crop) / 2), and pictures smaller than the
 * crop are padded with black at floor((crop − side) / 2)).
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
      const scaled = scaledToShorterSide(source, spec.resize.shorterSidePx);
      const x = centerCrop(scaled.widthPx, target.widthPx);
      const y = centerCrop(scaled.heightPx, target.heightPx);
      return {
        scaled,
        crop: { leftPx: x.from, topPx: y.from, widthPx: x.length, heightPx: y.length },
        leftPx: x.to,
        topPx: y.to,
      };
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

function centerCrop(side: number, target: number): { from: number; to: number; length: number } {
  if (side < target) return { from: 0, to: Math.floor((target - side) / 2), length: side };
  return { from: roundHalfToEven((side - target) / 2), to: 0, length: target };
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
