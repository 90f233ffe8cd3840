import { chance, fractal, noise } from './noise.ts';
import { type Color, hex, mix, type Scene, shade } from './picture.ts';

/** A skyline of three rows of towers; lit windows at night, glass by day. */
export function skyline(seed: number, night: boolean): Scene {
  return (u, v) => {
    for (let row = 3; row >= 1; row -= 1) {
      const tower = towerAt(seed + row * 29, u, v, row / 3, night);
      if (tower !== undefined) return tower;
    }
    return night ? nightSky(seed, u, v) : daySky(seed, u, v);
  };
}

function towerAt(seed: number, u: number, v: number, depth: number, night: boolean): Color | undefined {
  const width = 0.085 + depth * 0.05;
  const block = Math.floor(u / width + chance(seed, 99));
  const inside = u / width + chance(seed, 99) - block;
  const roof = 0.22 + depth * 0.36 - 0.3 * (chance(seed, block) - 0.35) * (1.3 - depth * 0.5);
  const antenna = chance(seed, block, 8) > 0.6 && Math.abs(inside - 0.5) < 0.02 && v > roof - 0.07;
  if (antenna && v < roof) return shade(hex('#39424f'), night ? 0.5 : 1);
  if (v < roof || inside < 0.04) return undefined;

  const wall = mix(hex(night ? '#1b2340' : '#b7c2cc'), hex(night ? '#0a0e1d' : '#5d6c7c'), depth);
  const tinted = mix(wall, hex('#a8573f'), chance(seed, block, 2) > 0.7 ? 0.35 : 0);
  const columns = 4 + Math.floor(chance(seed, block, 3) * 4);
  const floors = (v - roof) / (0.018 + depth * 0.011);
  const column = inside * columns;
  const framed = column % 1 > 0.22 && column % 1 < 0.82 && floors % 1 > 0.25 && floors % 1 < 0.8;
  const side = 0.8 + 0.3 * inside + 0.12 * noise(seed, u * 60, v * 60);
  if (!framed) return shade(tinted, side);
  const window = chance(seed + block * 7, Math.floor(column), Math.floor(floors));
  if (night) return window > 0.58 ? shade(hex('#ffd487'), 0.6 + 0.5 * window) : shade(tinted, side * 0.7);
  return shade(mix(hex('#3f5f7c'), hex('#d8ecf7'), window * 0.8 + v * 0.15), side);
}

function nightSky(seed: number, u: number, v: number): Color {
  const glow = mix(hex('#101638'), hex('#7a4a76'), v * 1.25 + 0.25 * (fractal(seed, u * 4, v * 7, 4) - 0.5));
  const moon = Math.hypot(u - 1.02, v - 0.17);
  if (moon < 0.055) return shade(hex('#f5efd8'), 0.85 + 0.25 * fractal(seed + 5, u * 50, v * 50, 3));
  const star = chance(seed + 40, Math.floor(u * 190), Math.floor(v * 190)) > 0.996 ? 0.8 : 0;
  return mix(mix(glow, hex('#f5efd8'), 0.45 * Math.exp(-moon * 9)), [1, 1, 1], star);
}

function daySky(seed: number, u: number, v: number): Color {
  const cloud = Math.max(0, fractal(seed, u * 2.6, v * 6, 5) - 0.44) * 2.6;
  return mix(mix(hex('#3e8ad0'), hex('#e3f0f6'), v * 1.7), [1, 1, 1], cloud);
}
