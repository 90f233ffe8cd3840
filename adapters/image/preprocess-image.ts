import { createRequire } from 'node:module';
import { placementOf, type Size } from '#core/geometry.ts';
import { decodedBytes } from '#core/image/decoded-bytes.ts';
import type { ImageFormat, ImageHeader } from '#core/image/image-header.ts';
import { inspectImage } from '#core/image/inspect-image.ts';
import { emptyKernelMemory, type Lines } from '#core/image/kernel-memory.ts';
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
import { startDecodingClock } from './decoding-clock.ts';
import { PictureDecoder } from './picture-decoder.ts';
import { hashesOf, pixelHashOf as hashOfPixels, type PictureHashes } from './picture-hashes.ts';
import {
  isShrinkable,
  type OpenPicture,
  openRaw,
  openWithSharp,
  type ScalablePicture,
  sharpVersion,
  uprightOf,
} from './sharp-picture.ts';

/** What decoding tells of an image, beside its pixels. Its size is that of the upright source. */
export interface PreprocessedImage extends Size, PictureHashes {
  /** By content, never by name. */
  readonly format: ImageFormat;
}

/** One way to take a picture. */
export interface PictureTarget {
  readonly spec: PreprocessSpec;
  /** uint8 RGB `[spec.heightPx, spec.widthPx, 3]`: the picture's row of a pack. */
  readonly row: Uint8Array;
}

/** `decoderStuck`: native code runs on and can only be ended with its process. */
type Refused = { readonly ok: false; readonly refusal: Refusal; readonly decoderStuck?: true };
export type PreprocessOutcome = { readonly ok: true; readonly image: PreprocessedImage } | Refused;

/** Waits until there is memory for so many bytes of a decoded picture. The answer gives it back. */
export type TakeRoom = (bytes: number) => Promise<() => void>;

interface Memory {
  /** Whether a JPEG is shrunk while it is decoded. */
  isShrunk(header: ImageHeader): boolean;
  readonly takeRoom: TakeRoom;
}

type Inspected = Extract<ReturnType<typeof inspectImage>, { ok: true }>;

/** A file whose header was inspected, and what has been decoded of it. */
interface InspectedFile extends Inspected {
  readonly bytes: Buffer;
  readonly decoded: DecodedOnce;
}

const pictures = new PictureDecoder();
const turns = new DecoderTurns();

const boundless: TakeRoom = async () => () => undefined;

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
export async function preprocessImage(
  bytes: Buffer,
  spec: PreprocessSpec,
  limits: ImageLimits,
  row: Uint8Array,
  region?: Region,
  takeRoom = boundless,
): Promise<PreprocessOutcome> {
  const [outcome] = await preprocessTargets(bytes, [{ spec, row }], limits, region, takeRoom);
  return outcome as PreprocessOutcome;
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
  takeRoom = boundless,
): Promise<PreprocessOutcome[]> {
  const inspected = inspectImage(bytes, limits);
  if (!inspected.ok) return targets.map(() => inspected);
  const isShrunk = (header: ImageHeader): boolean =>
    region === undefined && targets.every(({ spec }) => isShrunkJpeg(header, spec));
  // One room for all of them: what is decoded for one is held for the next.
  return inRoom(inspected, { isShrunk, takeRoom }, async () => {
    const file: InspectedFile = { ...inspected, bytes, decoded: new DecodedOnce() };
    const outcomes: PreprocessOutcome[] = [];
    // In turn: each has all of the time that an image has, and together they hold little more than one of them.
    for (const target of targets) outcomes.push(await preprocessTarget(file, target, limits, region));
    return outcomes;
  });
}

function preprocessTarget(
  file: InspectedFile,
  { spec, row }: PictureTarget,
  limits: ImageLimits,
  region: Region | undefined,
): Promise<PreprocessOutcome> {
  const { decoded } = file;
  return opened(file, limits, async (whole, format) => {
    const picture = region === undefined ? whole : piece(whole, region);
    if (picture === undefined) return outside(region as Region, whole.upright);
    const placement = placementOf(picture.upright, spec);
    const scale = await decodedFor(picture, placement.scaled, spec, limits, decoded);
    // Nothing may wait from here on: the next picture comes into the same memory.
    const scaled = scale();
    placePicture(scaled, placement, spec, row);
    const image: PreprocessedImage = {
      ...picture.upright,
      format,
      ...hashesOf(row, scaled, picture.upright),
    };
    return { ok: true as const, image };
  });
}

/** Whether the decoder shrinks a JPEG on its way to the model: see {@link ScalablePicture.isCheaperScaled}. */
function isShrunkJpeg({ widthPx, heightPx, orientation }: ImageHeader, spec: PreprocessSpec): boolean {
  if (spec.fidelity === 'exact' || spec.kernel === 'linear-sampled' || spec.kernel === 'linear-corners')
    return false;
  const upright = uprightOf({ widthPx, heightPx }, orientation ?? 1);
  return isShrinkable(upright, placementOf(upright, spec).scaled, spec);
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

/** Decodes what is needed. @returns makes the scaled picture of it, in the memory of the kernels. */
async function decodedFor(
  picture: ScalablePicture,
  size: Size,
  spec: PreprocessSpec,
  limits: ImageLimits,
  decoded: DecodedOnce,
): Promise<() => Lines> {
  const { kernel, fidelity } = spec;
  const { upright } = picture;
  const isSampled = kernel === 'linear-sampled' || kernel === 'linear-corners';
  const heldPixels = isSampled ? upright.widthPx * upright.heightPx : pixelsOnTheWay(upright, size);
  const isHeld = heldPixels <= limits.maxBufferedPixels;
  const whole = (): Promise<Uint8Array> => {
    if (!isHeld) throw heldTooLarge();
    return decoded.whole(picture, spec);
  };
  const inMemory = (pixels: Uint8Array) => emptyKernelMemory().load(pixels, size);
  if (isSampled) {
    const pixels = await whole();
    return () => inMemory(sampleBilinear(pixels, upright, size, kernel === 'linear-corners'));
  }
  // What is decoded whole anyway is exact at no further cost; and enlarging, libvips would shift the picture.
  const scaleSpec = { ...spec, kernel };
  if (fidelity === 'exact' || (isHeld && !picture.isCheaperScaled(size, scaleSpec))) {
    const pixels = await whole();
    return () => resizeAsPillow(pixels, upright, size, kernel);
  }
  const pixels = await picture.scaledTo(size, scaleSpec);
  return () => inMemory(pixels);
}

/**
 * The hash of the whole decoded picture, as 32 hex digits: upright uint8 RGB in the spec's colours, on its background. Equal for
 * equal pixels, whatever the file format and the resolution that a model sees.
 */
export async function pixelHashOf(
  bytes: Buffer,
  spec: Pick<PreprocessSpec, 'color' | 'background'>,
  limits: ImageLimits,
  takeRoom = boundless,
): Promise<{ readonly ok: true; readonly hash: string } | Refused> {
  return guarded(bytes, limits, { isShrunk: () => false, takeRoom }, async (picture) => {
    const { widthPx, heightPx } = picture.upright;
    if (widthPx * heightPx > limits.maxBufferedPixels) throw heldTooLarge();
    return { ok: true as const, hash: hashOfPixels(await picture.whole(spec), picture.upright) };
  });
}

/** A JPEG of the image, at most so large on each side, through the same guards. */
export async function thumbnailOf(
  bytes: Buffer,
  limits: ImageLimits,
  maxSidePx: number,
  takeRoom = boundless,
): Promise<{ readonly ok: true; readonly jpeg: Buffer } | Refused> {
  // A JPEG is shrunk, or is as small as that.
  return guarded(bytes, limits, { isShrunk: () => true, takeRoom }, async (picture) => ({
    ok: true as const,
    jpeg: await picture.thumbnail(maxSidePx),
  }));
}

/** Inspects, opens and uses a picture within the limits; whatever a decoder throws becomes a refusal. */
async function guarded<T>(
  bytes: Buffer,
  limits: ImageLimits,
  memory: Memory,
  use: (picture: OpenPicture, format: ImageFormat) => Promise<T>,
): Promise<T | Refused> {
  const inspected = inspectImage(bytes, limits);
  if (!inspected.ok) return inspected;
  return inRoom(inspected, memory, () =>
    opened({ ...inspected, bytes, decoded: new DecodedOnce() }, limits, use),
  );
}

/** Takes the memory for a picture before its turn and its time begin: it may have to wait for other processes. */
async function inRoom<T>(
  { format, header }: Inspected,
  { isShrunk, takeRoom }: Memory,
  work: () => Promise<T>,
): Promise<T> {
  const isWhole = format !== 'jpeg' || !isShrunk(header);
  const giveBack = await takeRoom(decodedBytes(format, header, isWhole));
  try {
    return await work();
  } finally {
    giveBack();
  }
}

async function opened<T>(
  { bytes, format, header, decoded }: InspectedFile,
  limits: ImageLimits,
  use: (picture: OpenPicture, format: ImageFormat) => Promise<T>,
): Promise<T | Refused> {
  if (format === 'heic' || format === 'bmp') {
    const raw = await decoded.raw(() => pictures.decode(format, bytes, limits));
    return raw.ok
      ? withSharp(limits, async () => use(openRaw(raw.picture, header.colorProfile), format))
      : raw;
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
  let stopClock = (): void => undefined;
  const overrun = new Promise<Refused>((resolve) => {
    const seconds = limits.maxSecondsPerImage;
    const late: Refused = {
      ok: false,
      refusal: refusal('timed-out', `decoding took longer than ${seconds} s`),
      decoderStuck: true,
    };
    stopClock = startDecodingClock(seconds, () => resolve(late));
  });
  try {
    return await Promise.race([work(), overrun]);
  } finally {
    stopClock();
  }
}

/** Worded for decoderRefusal: the picture would be held whole, whatever its format. */
function heldTooLarge(): Error {
  return new Error('exceeds the limit of pixels held at once');
}
