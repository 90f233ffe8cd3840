/** Of the images, so many have to keep their best label. */
export const DEFAULT_MIN_TOP1 = { int8: 0.98, fp16: 0.995 } as const;

/** What both commands take. */
export interface PrecisionFlags {
  readonly images: string;
  readonly maxImages: string;
  readonly minTop1?: string;
  readonly out?: string;
  readonly name?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

export interface QuantizeFlags extends Omit<PrecisionFlags, 'images'> {
  readonly calibration: string;
  readonly for: string;
  readonly calibrator: string;
  readonly percentile?: string;
  readonly floatLayers: string[];
}
