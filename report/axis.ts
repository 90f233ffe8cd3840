const TICKS = 4;

/** Where an axis of values from nothing to the highest ends, and the values that have a line. */
export function valueAxis(highest: number): { readonly top: number; readonly rows: readonly number[] } {
  const most = highest > 0 ? highest : 1;
  const step = niceStep(most / TICKS);
  const steps = Math.ceil(most / step - 1e-9);
  // Twelve digits: three steps of 0.1 are not to read 0.30000000000000004.
  const rows = Array.from({ length: steps + 1 }, (_, i) => Number((i * step).toPrecision(12)));
  return { top: steps * step, rows };
}

/** A coordinate, as exactly as anybody can see. */
export function short(value: number): string {
  return String(Number(value.toFixed(1)));
}

/** 1, 2 or 5 times a power of ten, at least so much. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= least * (1 - 1e-9)) ?? 10);
}
