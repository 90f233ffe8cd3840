import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { startDecodingClock } from '#adapters/image/decoding-clock.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** After how many seconds an image of 10 s is late, where the process gets this share of a processor. */
async function lateAfter(share: number): Promise<number> {
  let atSeconds = 0;
  let late: number | undefined;
  const meters = { cpuSeconds: () => atSeconds * share, clockSeconds: () => atSeconds };
  const stop = startDecodingClock(10, () => (late ??= atSeconds), meters);
  for (; late === undefined && atSeconds < 100; atSeconds++) await vi.advanceTimersByTimeAsync(1000);
  stop();
  return late ?? Number.POSITIVE_INFINITY;
}

it.each([
  ['two cores for itself', 2, 10],
  ['a core', 1, 10],
  ['half a core, since others compute too', 0.5, 20],
  ['nothing, and waits for ever', 0, 60],
])('an image that has %s is late in time', async (_, share, seconds) => {
  expect(Math.abs((await lateAfter(share)) - seconds)).toBeLessThanOrEqual(2);
});
