import { chance, fractal, noise } from './noise.ts';
import { type Color, hex, mix, pick, type Scene, shade } from './picture.ts';

const PETALS: readonly [Color, ...Color[]] = [
  hex('#e8434f'),
  hex('#f4b93a'),
  hex('#f7f2ea'),
  hex('#9a5fc0'),
  hex('#ef7fa8'),
];
const STONES: readonly [Color, ...Color[]] = [
  hex('#8d8578'),
  hex('#b9ad9b'),
  hex('#5f6468'),
  hex('#a5765a'),
  hex('#d8d0c2'),
];
const FRUIT: readonly [Color, ...Color[]] = [hex('#d8382f'), hex('#f19a2a'), hex('#b8c93c'), hex('#7b2d52')];
const GLAZES: readonly [Color, ...Color[]] = [
  hex('#1f5f8b'),
  hex('#f0e6d2'),
  hex('#d98c3f'),
  hex('#2a8c82'),
  hex('#b5483a'),
];

/** A flower meadow that recedes towards the sky. */
export function meadow(seed: number): Scene {
  return (u, v) => {
    const horizon = 0.24 + 0.04 * noise(seed, u * 3);
    if (v < horizon) {
      const cloud = Math.max(0, fractal(seed + 2, u * 3, v * 8, 4) - 0.45) * 2;
      return mix(mix(hex('#5aa2dc'), hex('#dcecf2'), v / horizon), [1, 1, 1], cloud);
    }
    const near = v - horizon;
    for (let row = 9; row >= 0; row -= 1) {
      const flower = flowerAt(
        seed + row * 13,
        u,
        v,
        horizon + 0.03 + row * row * 0.0085,
        0.008 + row * 0.0052,
      );
      if (flower !== undefined) return flower;
    }
    const blades = noise(seed + 4, u * 150 + near * 30, v * 16);
    const grass = mix(hex('#a9b85a'), hex('#2d5a24'), near * 1.5 + blades * 0.5);
    return shade(grass, 0.6 + 0.7 * blades);
  };
}

function flowerAt(seed: number, u: number, v: number, rowV: number, radius: number): Color | undefined {
  const spacing = radius * 2.7;
  const column = Math.floor(u / spacing);
  for (let near = column - 1; near <= column + 1; near += 1) {
    const du = u - (near + 0.5 + (chance(seed, near, 1) - 0.5) * 0.8) * spacing;
    const dv = v - rowV - (chance(seed, near, 2) - 0.5) * radius * 3;
    const away = Math.hypot(du, dv) / radius;
    if (away > 1 || chance(seed, near, 4) < 0.2) continue;
    if (away < 0.26) return shade(hex('#f2c230'), 1.1 - away);
    const petals = 5 + Math.floor(chance(seed, near, 5) * 3);
    const edge = 0.62 + 0.38 * Math.abs(Math.cos((Math.atan2(dv, du) * petals) / 2 + near));
    if (away < edge) return shade(pick(PETALS, chance(seed, near, 3)), 0.65 + 0.4 * away);
  }
  return undefined;
}

/** Rounded stones, lit from the upper left. */
export function pebbles(seed: number): Scene {
  return (u, v) => {
    const x = u * 9;
    const y = v * 9 + Math.sin(u * 4) * 0.4;
    let first = 9;
    let second = 9;
    let stone = { x: 0, y: 0, du: 0, dv: 0 };
    for (let cy = Math.floor(y) - 1; cy <= Math.floor(y) + 1; cy += 1) {
      for (let cx = Math.floor(x) - 1; cx <= Math.floor(x) + 1; cx += 1) {
        const du = x - cx - 0.15 - 0.7 * chance(seed, cx, cy);
        const dv = y - cy - 0.15 - 0.7 * chance(seed + 1, cx, cy);
        const away = Math.hypot(du, dv);
        if (away < first) {
          second = first;
          first = away;
          stone = { x: cx, y: cy, du, dv };
        } else if (away < second) second = away;
      }
    }
    const edge = Math.min(1, (second - first) * 3.2);
    const speckle = fractal(seed + 3, x * 9, y * 9, 3);
    const light = 0.62 - 0.42 * (stone.du + stone.dv) + 0.25 * speckle;
    const color = pick(STONES, chance(seed + 2, stone.x, stone.y));
    return shade(mix(hex('#1b1815'), shade(color, light + 0.25), edge), 0.95);
  };
}

/** Fruit in a heap on a wooden table. */
export function fruit(seed: number): Scene {
  const balls = Array.from({ length: 26 }, (_, index) => ({
    u: 0.08 + 1.2 * chance(seed, index, 1),
    v: 0.34 + 0.5 * Math.sqrt((index + 1) / 26) + 0.04 * chance(seed, index, 2),
    radius: 0.075 + 0.06 * chance(seed, index, 3),
    color: pick(FRUIT, chance(seed, index, 4)),
  }));
  return (u, v) => {
    for (let index = balls.length - 1; index >= 0; index -= 1) {
      const ball = balls[index]!;
      const x = (u - ball.u) / ball.radius;
      const y = (v - ball.v) / ball.radius;
      const square = x * x + y * y;
      if (square > 1) continue;
      const z = Math.sqrt(1 - square);
      const light = Math.max(0, -0.5 * x - 0.62 * y + 0.6 * z);
      const shine = Math.max(0, -0.42 * x - 0.52 * y + 0.74 * z) ** 38;
      const skin = 0.85 + 0.3 * fractal(seed + index, x * 5, y * 5, 3);
      return mix(shade(ball.color, (0.22 + 0.95 * light) * skin), [1, 1, 1], shine * 0.85);
    }
    const wood = fractal(seed + 90, u * 3, v * 46, 4);
    const plank = (v * 5.5) % 1 < 0.03 ? 0.5 : 1;
    return shade(mix(hex('#c99a63'), hex('#6b4526'), wood), plank * (0.55 + 0.6 * v));
  };
}

/** Glazed tiles with a quarter-circle pattern. Flat colours, so that lossless files stay small. */
export function mosaic(seed: number): Scene {
  return (u, v) => {
    const x = u * 8;
    const y = v * 8;
    const cx = Math.floor(x);
    const cy = Math.floor(y);
    const fx = x - cx;
    const fy = y - cy;
    if (Math.min(fx, fy, 1 - fx, 1 - fy) < 0.035) return hex('#cfc8ba');
    const turn = chance(seed, cx, cy);
    const away = Math.hypot(turn < 0.5 ? fx : 1 - fx, fy < 0.5 === turn < 0.25 ? fy : 1 - fy);
    const inside = away < 0.42 || (away > 0.62 && away < 0.8);
    const ground = pick(GLAZES, chance(seed + 1, cx, cy));
    return inside ? pick(GLAZES, chance(seed + 2, cx, cy)) : ground;
  };
}

/** A cut and polished agate: bands that bend around each other. */
export function agate(seed: number): Scene {
  return (u, v) => {
    const bendU = fractal(seed, u * 2.4, v * 2.4, 4);
    const bendV = fractal(seed + 8, u * 2.4 + 5, v * 2.4, 4);
    const field = fractal(seed + 16, u * 1.6 + bendU * 2.2, v * 1.6 + bendV * 2.2, 5);
    const band = 0.5 + 0.5 * Math.sin(field * 62);
    const color = mix(mix(hex('#123c4a'), hex('#e9a15b'), field * 1.9 - 0.4), hex('#f7efe2'), band * 0.55);
    return shade(color, 0.75 + 0.4 * band * bendU);
  };
}
