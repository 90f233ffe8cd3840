import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { placementOf, type Size } from '#core/geometry.ts';
import type { ImageFormat } from '#core/image/image-header.ts';
import { inspectImage } from '#core/image/inspect-image.ts';
import { perceptualHash } from '#core/image/perceptual-hash.ts';
import { pixelsOnTheWay, resizeAsPillow } from '#core/image/pillow/resize.ts';
import { placePicture } from '#core/image/place-picture.ts';
import { sampleBilinear } from '#core/image/sample-bilinear.ts';
import { type Region, regionText } from '#core/image-ref.ts';
import type { ImageLimits } from '#core/limits.ts';
import type { PreprocessSpec } from '#core/preprocess-spec.ts';
import { type Refusal, refusal } from '#core/refusal.ts';
import { DecodedOnce } from './decoded-once.ts';
import { decoderRefusal } from './decoder-refusal.ts';
import { DecoderTurns } from './decoder-turns.ts';
import { PictureDecoder } from './picture-decoder.ts';
import {
  type OpenPicture,
  openRaw,
  openWithSharp,
  type ScalablePicture,
  sharpVersion,
} from './sharp-picture.ts';

/** What decoding tells of an image, beside its pixels. */
export interface PreprocessedImage extends Size {
  /** By content, never by name. */
  readonly format: ImageFormat;
  /** 32 hex digits: equal for equal scaled pictures from sources of equal size, whatever the file format. */
  readonly contentHash: string;
  /** 16 hex digits; null for a picture too flat to have one. */
  readonly perceptualHash: string | null;
}

/** `decoderStuck`: native code runs on and can only be ended with its process. */
/** One way to take a picture. */
export interface PictureTarget {
  readonly spec: PreprocessSpec;
  /** uint8 RGB `[spec.heightPx, spec.widthPx, 3]`: the picture's row of a pack. */
  readonly row: Uint8Array;
}

type Refused = { readonly ok: false; readonly refusal: Refusal; readonly decoderStuck?: true };
export type PreprocessOutcome = { readonly ok: true; readonly image: PreprocessedImage } | Refused;

const pictures = new PictureDecoder();
const turns = new DecoderTurns();

/** The decoders and their versions, as they stand in receipts. */
export function decoderVersion(): string {
  const require = createRequire(import.meta.url);
  const { version: heif } = require('libheif-js/package.json') as { version: string };
  return `${sharpVersion()}, libheif-js ${heif}`;
}

/**
 * Decodes an image, or a region of it, and scales it into its row of a pack. Never throws because of the image.
 *
 * @param row uint8 RGB `[spec.heightPx, spec.widthPx, 3]`, written whole; left undefined when the image is refused.
 */
export function preprocessImage(
  bytes: Buffer,
  spec: PreprocessSpec,
  limits: ImageLimits,
  row: Uint8Array,
  region?: Region,
): Promise<PreprocessOutcome> {
  return preprocessTarget(bytes, { spec, row }, limits, region, new DecodedOnce());
}

/**
 * The same in several ways: each comes to what it would come to by itself. A picture that is decoded whole for more than one of them is
 * decoded once.
 */
export async function preprocessTargets(
  bytes: Buffer,
  targets: readonly PictureTarget[],
  limits: ImageLimits,
  region?: Region,
): Promise<PreprocessOutcome[]> {
  const decoded = new DecodedOnce();
  const outcomes: PreprocessOutcome[] = [];
  // In turn: each has all of the time that an image has, and together they hold little more than one of them.
  for (const target of targets) outcomes.push(await preprocessTarget(bytes, target, limits, region, decoded));
  return outcomes;
}

function preprocessTarget(
  bytes: Buffer,
  { spec, row }: PictureTarget,
  limits: ImageLimits,
  region: Region | undefined,
  decoded: DecodedOnce,
): Promise<PreprocessOutcome> {
  return guarded(bytes, limits, decoded, async (whole, format) => {
    const picture = region === undefined ? whole : piece(whole, region);
    if (picture === undefined) return outside(region as Region, whole.upright);
    const placement = placementOf(picture.upright, spec);
    const pixels = await scaledPixels(picture, placement.scaled, spec, limits, decoded);
    placePicture(pixels, placement, spec, row);
    const { widthPx, heightPx } = placement.scaled;
    const image: PreprocessedImage = {
      ...picture.upright,
      format,
      contentHash: contentHash(pixels, picture.upright),
      perceptualHash: perceptualHash(pixels, widthPx, heightPx),
    };
    return { ok: true as const, image };
  });
}

/** A region of a picture as a picture of its own; `undefined` where it does not lie within. */
function piece(picture: OpenPicture, region: Region): ScalablePicture | undefined {
  const { x, y, width, height } = region;
  const { widthPx, heightPx } = picture.upright;
  return x + width > widthPx || y + height > heightPx ? undefined : picture.piece(region);
}

function outside(region: Region, { widthPx, heightPx }: Size): Refused {
  const detail = `the region ${regionText(region)} does not lie within ${widthPx} × ${heightPx} px`;
  return { ok: false, refusal: refusal('missing', detail) };
}

async function scaledPixels(
  picture: ScalablePicture,
  size: Size,
  spec: PreprocessSpec,
  limits: ImageLimits,
  decoded: DecodedOnce,
): Promise<Uint8Array> {
  const { kernel, fidelity } = spec;
  const { upright } = picture;
  const isSampled = kernel === 'linear-sampled' || kernel === 'linear-corners';
  const heldPixels = isSampled ? upright.widthPx * upright.heightPx : pixelsOnTheWay(upright, size);
  const isHeld = heldPixels <= limits.maxBufferedPixels;
  const whole = (): Promise<Uint8Array> => {
    // Worded for decoderRefusal: the picture is held whole here, whatever its format.
    if (!isHeld) throw new Error('exceeds the limit of pixels held at once');
    return decoded.whole(picture, spec);
  };
  if (isSampled) return sampleBilinear(await whole(), upright, size, kernel === 'linear-corners');
  // What is decoded whole anyway is exact at no further cost; and enlarging, libvips would shift the picture.
  const scaleSpec = { ...spec, kernel };
  const isExact = fidelity === 'exact' || (isHeld && !picture.isCheaperScaled(size, scaleSpec));
  return isExact ? resizeAsPillow(await whole(), upright, size, kernel) : picture.scaledTo(size, scaleSpec);
}

/** A JPEG of the image, at most so large on each side, through the same guards. */
export async function thumbnailOf(
  bytes: Buffer,
  limits: ImageLimits,
  maxSidePx: number,
): Promise<{ readonly ok: true; readonly jpeg: Buffer } | Refused> {
  return guarded(bytes, limits, new DecodedOnce(), async (picture) => ({
    ok: true as const,
    jpeg: await picture.thumbnail(maxSidePx),
  }));
}

/** Inspects, opens and uses a picture within the limits; whatever a decoder throws becomes a refusal. */
async function guarded<T>(
  bytes: Buffer,
  limits: ImageLimits,
  once: DecodedOnce,
  use: (picture: OpenPicture, format: ImageFormat) => Promise<T>,
): Promise<T | Refused> {
  const inspected = inspectImage(bytes, limits);
  if (!inspected.ok) return inspected;
  const { format, header } = inspected;
  if (format === 'heic' || format === 'bmp') {
    const decoded = await once.raw(() => pictures.decode(format, bytes, limits));
    return decoded.ok
      ? withSharp(limits, async () => use(openRaw(decoded.picture, header.colorProfile), format))
      : decoded;
  }
  return withSharp(limits, async () => use(await openWithSharp(bytes, format, header, limits), format));
}

/** Each try has all of the time: what else goes on in this process must not decide what becomes of an image. */
async function withSharp<T>(limits: ImageLimits, work: () => Promise<T>): Promise<T | Refused> {
  try {
    return await turns.run(() => withinTime(limits, work));
  } catch (error) {
    return { ok: false, refusal: decoderRefusal(error) };
  }
}

async function withinTime<T>(limits: ImageLimits, work: () => Promise<T>): Promise<T | Refused> {
  let timer: NodeJS.Timeout | undefined;
  const overrun = new Promise<Refused>((resolve) => {
    const seconds = limits.maxSecondsPerImage;
    const late: Refused = {
      ok: false,
      refusal: refusal('timed-out', `decoding took longer than ${seconds} s`),
      decoderStuck: true,
    };
    timer = setTimeout(() => resolve(late), seconds * 1000);
  });
  try {
    return await Promise.race([work(), overrun]);
  } finally {
    clearTimeout(timer);
  }
}

function contentHash(pixels: Uint8Array, { widthPx, heightPx }: Size): string {
  return createHash('sha256').update(`${widthPx}x${heightPx}:`).update(pixels).digest('hex').slice(0, 32);
}
