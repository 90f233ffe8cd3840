/** A number in [0, 1) that depends on nothing but its arguments: the demo's only source of chance. */
export function chance(seed: number, x: number, y = 0): number {
  let h =
    Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(x | 0, 0xc2b2ae35) ^ Math.imul(y | 0, 0x27d4eb2f);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return ((h ^ (h >>> 15)) >>> 0) / 4294967296;
}

/** Smooth noise in [0, 1): {@link chance} on the whole numbers, eased in between. */
export function noise(seed: number, x: number, y = 0): number {
  const x0 = Math.floor(x);
  const y0 = Math.floor(y);
  const u = ease(x - x0);
  const v = ease(y - y0);
  const top = chance(seed, x0, y0) * (1 - u) + chance(seed, x0 + 1, y0) * u;
  const bottom = chance(seed, x0, y0 + 1) * (1 - u) + chance(seed, x0 + 1, y0 + 1) * u;
  return top * (1 - v) + bottom * v;
}

/** Noise in [0, 1) with detail at several scales, like clouds and rock. */
export function fractal(seed: number, x: number, y: number, octaves: number): number {
  let sum = 0;
  let weight = 0.5;
  let whole = 0;
  for (let octave = 0; octave < octaves; octave += 1) {
    const scale = 2 ** octave;
    sum += weight * noise(seed + octave * 101, x * scale, y * scale);
    whole += weight;
    weight /= 2;
  }
  return sum / whole;
}

function ease(t: number): number {
  return t * t * (3 - 2 * t);
}
