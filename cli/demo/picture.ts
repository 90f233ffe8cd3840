import sharp, { type Sharp } from 'sharp';
import { chance } from './noise.ts';

/** Red, green and blue, each 0–1. Values outside are clipped when painted. */
export type Color = readonly [number, number, number];

/** The colour at a point: `v` runs from 0 at the top to 1 at the bottom, `u` from 0 at the left in the same unit. */
export type Scene = (u: number, v: number) => Color;

/** Pixels in memory: uint8 RGB, row by row. */
export interface Picture {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly pixels: Uint8Array;
}

/** Paints a scene. `grain` (0–1) is sensor noise, without which synthetic pictures look too clean to be photos. */
export function paint(widthPx: number, heightPx: number, scene: Scene, grain = 0.02): Picture {
  const pixels = new Uint8Array(widthPx * heightPx * 3);
  let at = 0;
  for (let y = 0; y < heightPx; y += 1) {
    for (let x = 0; x < widthPx; x += 1) {
      const speck = grain * (chance(7, x, y) - 0.5);
      for (const channel of scene((x + 0.5) / heightPx, (y + 0.5) / heightPx)) {
        pixels[at] = Math.round(255 * Math.min(1, Math.max(0, channel + speck)));
        at += 1;
      }
    }
  }
  return { widthPx, heightPx, pixels };
}

/** A new picture with every channel value (0–1) changed alike. */
export function withTone(picture: Picture, tone: (value: number) => number): Picture {
  const pixels = picture.pixels.map((value) => Math.round(255 * Math.min(1, Math.max(0, tone(value / 255)))));
  return { ...picture, pixels };
}

/** The picture as the input of a sharp pipeline. */
export function toSharp(picture: Picture): Sharp {
  return sharp(picture.pixels, {
    raw: { width: picture.widthPx, height: picture.heightPx, channels: 3 },
  });
}

/** `#rrggbb` as a colour. */
export function hex(code: string): Color {
  const value = Number.parseInt(code.slice(1), 16);
  return [(value >> 16) / 255, ((value >> 8) & 255) / 255, (value & 255) / 255];
}

/** `a` at 0, `b` at 1, and no further on either side. */
export function mix(a: Color, b: Color, amount: number): Color {
  const t = Math.min(1, Math.max(0, amount));
  return [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t];
}

/** Brighter above 1, darker below. */
export function shade(color: Color, factor: number): Color {
  return [color[0] * factor, color[1] * factor, color[2] * factor];
}

/** One of several, by a number in [0, 1). */
export function pick<T>(choices: readonly [T, ...T[]], at: number): T {
  return choices[Math.floor(at * choices.length)] ?? choices[0];
}
