import type { RgbImage } from './pillow.ts';

/** Whole numbers below 2³², the same ones for the same seed (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

/** A color gradient under a few hard-edged boxes and noise of up to `noiseLevels`: something of everything the checks look at. */
export function syntheticImage(widthPx: number, heightPx: number, seed: number, noiseLevels = 40): RgbImage {
  const random = randomNumbers(seed);
  const below = (limit: number): number => random() % limit;
  const slopes = [0, 1, 2].map(() => [below(200), below(200), below(60)] as const);
  const boxes = Array.from({ length: 4 }, () => ({
    left: below(widthPx),
    top: below(heightPx),
    right: below(widthPx + 1),
    bottom: below(heightPx + 1),
    level: below(256),
  }));
  const data = new Uint8Array(widthPx * heightPx * 3);
  for (let i = 0; i < data.length; i++) {
    const x = Math.floor(i / 3) % widthPx;
    const y = Math.floor(i / 3 / widthPx);
    const [acrossX, acrossY, base] = slopes[i % 3]!;
    const box = boxes.find((b) => x >= b.left && x < b.right && y >= b.top && y < b.bottom);
    const level = box ? box.level : base + (acrossX * x) / widthPx + (acrossY * y) / heightPx;
    data[i] = Math.min(255, Math.round(level) + (noiseLevels > 0 ? below(noiseLevels) : 0));
  }
  return { widthPx, heightPx, data };
}
