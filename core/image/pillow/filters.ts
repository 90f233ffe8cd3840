/** A resampling filter: its weight at a distance in source pixels, which is 0 beyond `support`. */
export interface Filter {
  readonly support: number;
  weightAt(distance: number): number;
}

/** The filters that Pillow calls BILINEAR, BICUBIC (a = −0.5) and LANCZOS. Source: Pillow, src/libImaging/Resample.c. */
export const FILTERS = {
  linear: { support: 1, weightAt: bilinear },
  cubic: { support: 2, weightAt: bicubic },
  lanczos3: { support: 3, weightAt: lanczos },
} as const satisfies Record<string, Filter>;

function bilinear(distance: number): number {
  const x = Math.abs(distance);
  return x < 1 ? 1 - x : 0;
}

function bicubic(distance: number): number {
  const a = -0.5;
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

function lanczos(distance: number): number {
  return -3 <= distance && distance < 3 ? sinc(distance) * sinc(distance / 3) : 0;
}

function sinc(distance: number): number {
  if (distance === 0) return 1;
  const x = distance * Math.PI;
  return Math.sin(x) / x;
}
