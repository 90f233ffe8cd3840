import sharp from 'sharp';
import { encodeBmp } from './bmp.ts';
import {
  corruptedPng,
  PDF_STUB,
  pngThatClaims,
  SVG_FILE,
  TEXT_FILE,
  truncated,
  WEB_PAGE,
  withTrailingGarbage,
} from './broken.ts';
import { skyline } from './city.ts';
import { DAWN, DUSK, forest, mountains, NOON, sea } from './landscapes.ts';
import { fractal } from './noise.ts';
import { paint, toSharp, withTone } from './picture.ts';
import { agate, fruit, meadow, mosaic, pebbles } from './still-lifes.ts';

/** One file of the demo: where it lies, with "/" between folders, and its bytes. */
export type DemoSample = readonly [path: string, file: Buffer | Promise<Buffer>];

/**
 * The demo's files. Each defect is shown on a picture of its own: a perceptual hash looks past brightness
 * and blur, so a darkened copy of a good picture would count as its duplicate as well.
 */
export function demoSamples(): DemoSample[] {
  return [...goodSamples(), ...flawedSamples(), ...copiedSamples(), ...rotatedSamples(), ...brokenSamples()];
}

function goodSamples(): DemoSample[] {
  const animation = [0, 1, 2].map((step) =>
    toSharp(paint(360, 270, agate(40 + step * 0.04), 0))
      .png()
      .toBuffer(),
  );
  return [
    [
      'landscapes/dawn.jpg',
      toSharp(paint(640, 480, mountains(3, DAWN)))
        .jpeg()
        .toBuffer(),
    ],
    [
      'landscapes/noon.jpg',
      toSharp(paint(600, 450, mountains(18, NOON)))
        .jpeg()
        .toBuffer(),
    ],
    [
      'landscapes/dusk.webp',
      toSharp(paint(640, 427, mountains(8, DUSK)))
        .webp()
        .toBuffer(),
    ],
    [
      'landscapes/bay.jpg',
      toSharp(paint(640, 480, sea(4, DUSK)))
        .jpeg()
        .toBuffer(),
    ],
    [
      'landscapes/woods.jpg',
      toSharp(paint(480, 600, forest(6, NOON)))
        .jpeg({ progressive: true })
        .toBuffer(),
    ],
    [
      'landscapes/open sea.avif',
      toSharp(paint(600, 450, sea(21, NOON)))
        .avif({ effort: 1 })
        .toBuffer(),
    ],
    [
      'city/by-night.jpg',
      toSharp(paint(640, 480, skyline(5, true)))
        .jpeg()
        .toBuffer(),
    ],
    [
      'city/by-day.webp',
      toSharp(paint(600, 450, skyline(14, false)))
        .webp()
        .toBuffer(),
    ],
    [
      'city/harbour-cmyk.jpg',
      toSharp(paint(560, 420, skyline(33, false)))
        .toColourspace('cmyk')
        .jpeg()
        .toBuffer(),
    ],
    [
      'garden/meadow.jpg',
      toSharp(paint(640, 480, meadow(2)))
        .jpeg()
        .toBuffer(),
    ],
    [
      'garden/pebbles.tif',
      toSharp(paint(512, 512, pebbles(9)))
        .tiff({ compression: 'jpeg' })
        .toBuffer(),
    ],
    [
      'garden/fruit.jpg',
      toSharp(paint(600, 450, fruit(11)))
        .jpeg({ quality: 88 })
        .toBuffer(),
    ],
    [
      'garden/agate.gif',
      toSharp(paint(420, 315, agate(12), 0))
        .gif({ colours: 64, dither: 0 })
        .toBuffer(),
    ],
    ['garden/turning.gif', animated(animation)],
    ['garden/old-scan.bmp', encodeBmp(paint(361, 270, fruit(27)))],
    ['garden/sticker.png', sticker()],
    [
      'garden/Blüten & Gräser – 花 🌼.jpg',
      toSharp(paint(600, 400, meadow(31)))
        .jpeg()
        .toBuffer(),
    ],
    [
      'garden/<b>bold & "quoted".jpg',
      toSharp(paint(512, 512, agate(5)))
        .jpeg()
        .toBuffer(),
    ],
  ];
}

function flawedSamples(): DemoSample[] {
  const night = paint(600, 450, mountains(44, NOON));
  const cellar = paint(560, 420, fruit(52));
  const window = paint(600, 450, skyline(61, false));
  return [
    [
      'flawed/too-dark.jpg',
      toSharp(withTone(night, (value) => value * 0.22))
        .jpeg()
        .toBuffer(),
    ],
    [
      'flawed/cellar.webp',
      toSharp(withTone(cellar, (value) => value * 0.12))
        .webp()
        .toBuffer(),
    ],
    [
      'flawed/overexposed.jpg',
      toSharp(withTone(window, (value) => 0.9 + value * 0.5))
        .jpeg()
        .toBuffer(),
    ],
    [
      'flawed/out-of-focus.jpg',
      toSharp(paint(640, 480, mountains(70, DAWN), 0))
        .blur(22)
        .jpeg()
        .toBuffer(),
    ],
    [
      'flawed/shaken.webp',
      toSharp(paint(600, 450, meadow(81), 0))
        .blur(30)
        .webp()
        .toBuffer(),
    ],
    [
      'flawed/blank.png',
      toSharp(paint(560, 420, () => [0.5, 0.55, 0.6], 0))
        .png()
        .toBuffer(),
    ],
    [
      'flawed/lens-cap.jpg',
      toSharp(paint(600, 450, () => [0.02, 0.02, 0.02], 0.01))
        .jpeg()
        .toBuffer(),
    ],
    [
      'flawed/newspaper.jpg',
      toSharp(paint(600, 450, skyline(91, false)))
        .grayscale()
        .jpeg()
        .toBuffer(),
    ],
    ['flawed/gray-stored-as-rgb.webp', grayAsRgb()],
    [
      'flawed/panorama.jpg',
      toSharp(paint(1200, 240, mountains(103, DUSK)))
        .jpeg()
        .toBuffer(),
    ],
    [
      'flawed/icon.png',
      toSharp(paint(12, 12, fruit(7)))
        .png()
        .toBuffer(),
    ],
  ];
}

function copiedSamples(): DemoSample[] {
  const tiles = toSharp(paint(560, 420, mosaic(15), 0));
  const original = paint(640, 480, pebbles(23));
  const photo = toSharp(original).jpeg({ quality: 90 }).toBuffer();
  return [
    ['copies/mosaic.png', tiles.clone().png({ compressionLevel: 9 }).toBuffer()],
    ['copies/mosaic (1).png', tiles.clone().png({ compressionLevel: 2 }).toBuffer()],
    ['copies/mosaic-lossless.webp', tiles.clone().webp({ lossless: true }).toBuffer()],
    ['copies/beach.jpg', photo],
    ['copies/backup/beach.jpg', photo],
    [
      'copies/beach-sent-by-messenger.jpg',
      toSharp(original).resize(480, 360).jpeg({ quality: 35 }).toBuffer(),
    ],
    ['copies/beach-small.webp', toSharp(original).resize(400, 300).webp({ quality: 50 }).toBuffer()],
  ];
}

/** One picture, stored turned three ways with the EXIF tag that turns it back. */
function rotatedSamples(): DemoSample[] {
  const upright = paint(600, 450, sea(120, DAWN));
  const turned = (orientation: number, degrees: number): Promise<Buffer> =>
    toSharp(upright).rotate(degrees).withMetadata({ orientation }).jpeg().toBuffer();
  return [
    ['rotated/orientation-1.jpg', turned(1, 0)],
    ['rotated/orientation-3.jpg', turned(3, 180)],
    ['rotated/orientation-6.jpg', turned(6, 270)],
    ['rotated/orientation-8.jpg', turned(8, 90)],
  ];
}

function brokenSamples(): DemoSample[] {
  const photo = toSharp(paint(560, 420, forest(131, DAWN)))
    .jpeg()
    .toBuffer();
  const tiles = toSharp(paint(400, 300, mosaic(141), 0))
    .png()
    .toBuffer();
  const whole = toSharp(paint(600, 450, meadow(151)))
    .jpeg()
    .toBuffer();
  return [
    ['broken/half-uploaded.jpg', photo.then((file) => truncated(file, 0.55))],
    ['broken/bit-rot.png', tiles.then(corruptedPng)],
    ['broken/empty.jpg', Buffer.alloc(0)],
    ['broken/notes.jpg', TEXT_FILE],
    ['broken/saved-error-page.png', WEB_PAGE],
    ['broken/logo.svg', SVG_FILE],
    ['broken/invoice.pdf', PDF_STUB],
    ['broken/decompression-bomb.png', pngThatClaims(60_000, 60_000)],
    ['broken/fine-with-trailing-bytes.jpg', whole.then(withTrailingGarbage)],
  ];
}

async function animated(frames: readonly Promise<Buffer>[]): Promise<Buffer> {
  return sharp(await Promise.all(frames), { join: { animated: true } })
    .gif({ colours: 32, dither: 0, delay: [120, 120, 120] })
    .toBuffer();
}

/** A round badge on a transparent ground. */
async function sticker(): Promise<Buffer> {
  const sidePx = 512;
  const badge = paint(sidePx, sidePx, mosaic(37), 0);
  const alpha = paint(
    sidePx,
    sidePx,
    (u, v) => {
      const wobble = 0.42 + 0.05 * fractal(37, 4 + 3 * u, 3 * v, 2);
      const inside = Math.hypot(u - 0.5, v - 0.5) < wobble ? 1 : 0;
      return [inside, inside, inside];
    },
    0,
  );
  const mask = await toSharp(alpha).extractChannel(0).raw().toBuffer();
  return toSharp(badge)
    .joinChannel(mask, { raw: { width: sidePx, height: sidePx, channels: 1 } })
    .png({ palette: true, effort: 4 })
    .toBuffer();
}

/** Gray pixels in three equal channels: WebP has no single-channel form, so the file says RGB. */
function grayAsRgb(): Promise<Buffer> {
  return toSharp(paint(600, 450, fruit(161)))
    .grayscale()
    .toColourspace('srgb')
    .webp({ lossless: false, quality: 80 })
    .toBuffer();
}
