import { chance, fractal, noise } from './noise.ts';
import { type Color, hex, mix, type Scene, shade } from './picture.ts';

/** The light of a landscape. */
export interface Light {
  readonly zenith: Color;
  readonly horizon: Color;
  readonly sun: Color;
  readonly far: Color;
  readonly near: Color;
  readonly sunU: number;
  readonly sunV: number;
}

export const DAWN: Light = {
  zenith: hex('#3d5a8f'),
  horizon: hex('#f6c6a0'),
  sun: hex('#fff0cf'),
  far: hex('#a58fae'),
  near: hex('#26304a'),
  sunU: 0.86,
  sunV: 0.34,
};

export const NOON: Light = {
  zenith: hex('#2f7fc9'),
  horizon: hex('#d3ebf5'),
  sun: hex('#fffdf0'),
  far: hex('#8fb0c4'),
  near: hex('#2c4d34'),
  sunU: 0.3,
  sunV: 0.14,
};

export const DUSK: Light = {
  zenith: hex('#2b1f4f'),
  horizon: hex('#f58a5b'),
  sun: hex('#ffd98a'),
  far: hex('#8a4d74'),
  near: hex('#1a1430'),
  sunU: 0.55,
  sunV: 0.47,
};

/** Ridges behind ridges under a low sun, with snow on the high ones and firs in front. */
export function mountains(seed: number, light: Light): Scene {
  const ranges = 5;
  return (u, v) => {
    for (let range = ranges; range >= 1; range -= 1) {
      const depth = range / ranges;
      const ridge = ridgeAt(seed + range * 31, u, depth);
      if (v < ridge) continue;
      const rock = fractal(seed + range, u * 26, v * 34, 4);
      const slope = ridgeAt(seed + range * 31, u + 0.012, depth) - ridge;
      const base = mix(light.far, light.near, depth ** 1.3);
      const lit = mix(base, light.sun, Math.max(0, 0.28 - slope * 16) * (1 - depth * 0.55));
      const snowLine = range <= 2 ? 1 - (v - ridge) * 11 - rock : 0;
      const faced = mix(lit, [0.95, 0.96, 1], snowLine > 0.12 ? 0.75 : 0);
      return shade(faced, 0.72 + rock * 0.56);
    }
    return skyAt(seed, u, v, light);
  };
}

/** Water to the horizon, with the sun's glitter on it. */
export function sea(seed: number, light: Light): Scene {
  const horizon = 0.52;
  return (u, v) => {
    if (v < horizon) return skyAt(seed, u, v * 0.96, light);
    const depth = 1 / (v - horizon + 0.025);
    const wave = fractal(seed + 5, u * depth * 1.1 + 3, depth * 2.6, 4);
    const chop = fractal(seed + 9, u * depth * 4 + 9, depth * 9, 2);
    const water = mix(mix(light.horizon, light.zenith, (v - horizon) * 3.2), light.near, wave * 0.75);
    const road = Math.exp(-(((u - light.sunU) / (0.05 + (v - horizon) * 0.4)) ** 2));
    const glint = chop > 0.6 ? road : road * 0.22;
    return shade(mix(water, light.sun, glint), 0.78 + chop * 0.44);
  };
}

/** Trunk behind trunk in morning fog. */
export function forest(seed: number, light: Light): Scene {
  return (u, v) => {
    const rows = 5;
    for (let row = rows; row >= 1; row -= 1) {
      const depth = row / rows;
      const floor = 0.6 + depth * 0.3 + 0.03 * noise(seed + row, u * 6);
      const bark = trunkAt(seed + row * 17, u, v, depth, floor);
      if (bark > 0) return shade(mix(light.horizon, light.near, depth ** 1.2), 0.5 + bark * 0.75);
      if (v > floor) {
        const moss = fractal(seed + row * 3, u * 40, v * 60, 3);
        const ground = mix(hex('#7f8f4e'), hex('#4a3a26'), moss);
        return shade(mix(light.horizon, ground, 0.25 + depth * 0.75), 0.6 + moss * 0.7);
      }
    }
    const leaves = fractal(seed + 77, u * 18, v * 18, 4);
    const glow = Math.exp(-((u - light.sunU) ** 2 + (v - light.sunV) ** 2) * 5);
    return mix(
      shade(mix(light.horizon, hex('#9db26a'), 0.55 - v * 0.5), 0.55 + leaves * 0.8),
      light.sun,
      glow * 0.7,
    );
  };
}

function trunkAt(seed: number, u: number, v: number, depth: number, floor: number): number {
  if (v > floor + 0.02) return 0;
  const spacing = 0.1 + depth * 0.2;
  const column = Math.floor(u / spacing);
  if (chance(seed, column, 3) < 0.25) return 0;
  const middle =
    (column + 0.3 + 0.4 * chance(seed, column)) * spacing + (noise(seed, v * 3, column) - 0.5) * 0.02;
  const half = spacing * (0.07 + 0.08 * chance(seed, column, 1)) * (0.85 + v * 0.3);
  const across = (u - middle) / half;
  if (Math.abs(across) > 1) return 0;
  return 0.15 + 0.5 * (0.5 - across / 2) + 0.5 * fractal(seed, u * 160, v * 22, 3);
}

function ridgeAt(seed: number, u: number, depth: number): number {
  const broad = Math.abs(noise(seed, u * (1.6 + depth) + 4) - 0.5) * 2;
  const jag = fractal(seed + 3, u * 7, depth * 9, 4) - 0.5;
  const firs = depth === 1 ? -0.05 * Math.abs(((u * 34 + noise(seed, u * 30)) % 1) - 0.5) : 0;
  return 0.3 + depth * 0.56 - (1 - broad) * 0.24 * (1.15 - depth) - jag * (0.16 - depth * 0.09) + firs;
}

function skyAt(seed: number, u: number, v: number, light: Light): Color {
  const sky = mix(light.zenith, light.horizon, (v / 0.55) ** 1.15);
  const away = Math.hypot(u - light.sunU, v - light.sunV);
  const cloud = Math.max(0, fractal(seed + 60, u * 3.2, v * 9, 5) - 0.5) * 2.4 * (1 - v);
  const clouded = mix(sky, mix([1, 1, 1], light.sun, 0.6), cloud);
  const glow = mix(clouded, light.sun, 0.75 * Math.exp(-away * away * 26));
  return away < 0.045 ? light.sun : glow;
}
