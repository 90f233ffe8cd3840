import { type Interval, scaled } from './quote.ts';

/** A figure that was predicted, beside what it came to. */
export interface Held {
  readonly predicted: Interval;
  readonly actual: number;
  /** 0.1 where the prediction was a tenth too high; `undefined` where nothing came of it. */
  readonly error: number | undefined;
  readonly isInside: boolean;
}

/** @param share of what was predicted, the part that was done. */
export function held(whole: Interval, share: number, actual: number): Held {
  const predicted = scaled(whole, share);
  return {
    predicted,
    actual,
    error: actual > 0 ? predicted.estimate / actual - 1 : undefined,
    isInside: predicted.low <= actual && actual <= predicted.high,
  };
}
