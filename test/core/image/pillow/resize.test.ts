import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type PillowKernel, resizeAsPillow } from '#core/image/pillow/resize.ts';
import { pixelsOf } from '#test/support/pixels-of.ts';
import { lacksPillow, NEEDS_PILLOW, runPython } from '#test/support/python-pillow.ts';
import { syntheticImage } from '#test/support/synthetic-image.ts';
import { RESIZED_BY_PILLOW, SMALL } from './resized-by-pillow.ts';

type Case = [from: [number, number], to: [number, number], kernel: PillowKernel];

const KERNELS = ['nearest', 'linear', 'cubic', 'lanczos3'] as const;
const SIZES: [from: [number, number], to: [number, number]][] = [
  [
    [640, 427],
    [383, 256],
  ],
  [
    [427, 640],
    [224, 224],
  ],
  [
    [97, 61],
    [32, 20],
  ],
  [
    [33, 50],
    [224, 339],
  ],
  [
    [1, 1],
    [5, 3],
  ],
  [
    [2, 300],
    [3, 7],
  ],
  [
    [300, 2],
    [7, 1],
  ],
  [
    [64, 64],
    [64, 24],
  ],
  [
    [64, 64],
    [24, 64],
  ],
  [
    [3001, 17],
    [9, 17],
  ],
  [
    [5, 2111],
    [4, 3],
  ],
  [
    [255, 255],
    [256, 254],
  ],
];
const CASES: Case[] = SIZES.flatMap(([from, to]) => KERNELS.map((kernel): Case => [from, to, kernel]));

const nameOf = ([from, to, kernel]: Case): string => `${from.join('x')} to ${to.join('x')} ${kernel}`;

/** Hard edges under noise: filters overshoot on them, and levels are clipped. */
function picture([widthPx, heightPx]: [number, number]): {
  widthPx: number;
  heightPx: number;
  data: Uint8Array;
} {
  return syntheticImage(widthPx, heightPx, widthPx * 31 + heightPx, 90);
}

function resized([from, [widthPx, heightPx], kernel]: Case): Uint8Array {
  const source = picture(from);
  return pixelsOf(resizeAsPillow(source.data, source, { widthPx, heightPx }, kernel));
}

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

/** From Pillow 13 on the order of the passes is another one for some sizes: each is run by itself then. */
function resizedByPillow([from, to, kernel]: Case): Buffer {
  const program = `
import sys, PIL
from PIL import Image
w, h, tw, th = map(int, sys.argv[1:5])
image = Image.frombytes("RGB", (w, h), sys.stdin.buffer.read())
filters = {"nearest": Image.NEAREST, "linear": Image.BILINEAR, "cubic": Image.BICUBIC, "lanczos3": Image.LANCZOS}
if int(PIL.__version__.split(".")[0]) >= 13:
    image = image.resize((w, th) if h > 100 * w and th < h else (tw, h), filters[sys.argv[5]])
sys.stdout.buffer.write(image.resize((tw, th), filters[sys.argv[5]]).tobytes())`;
  return runPython(program, [...from, ...to, kernel].map(String), picture(from).data);
}

describe('a resized picture is the same, byte for byte,', () => {
  it('as those stored from Pillow 12.3.0', () => {
    expect(Object.fromEntries(CASES.map((one) => [nameOf(one), hashOf(resized(one))]))).toEqual(
      RESIZED_BY_PILLOW,
    );
  });

  it('as a small one from Pillow 12.3.0', () => {
    const levels = Uint8Array.from({ length: 6 * 4 * 3 }, (_, i) => (i * i * 7) % 256);
    const small = resizeAsPillow(levels, { widthPx: 6, heightPx: 4 }, { widthPx: 3, heightPx: 2 }, 'cubic');
    expect([...pixelsOf(small)]).toEqual(SMALL);
  });

  it('as its source where the size stays as it is', () => {
    const { data, ...size } = picture([5, 7]);
    expect(pixelsOf(resizeAsPillow(data, size, size, 'cubic'))).toEqual(Uint8Array.from(data));
  });

  it.skipIf(lacksPillow).each(CASES)(
    `as Pillow's itself: %j to %j, %s ${lacksPillow ? NEEDS_PILLOW : ''}`,
    (...one) => {
      expect(hashOf(resizedByPillow(one))).toBe(RESIZED_BY_PILLOW[nameOf(one)]);
    },
  );
});
