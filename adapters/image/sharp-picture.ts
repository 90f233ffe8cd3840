import sharp, { type Sharp, type SharpOptions } from 'sharp';
import type { Size } from '#core/geometry.ts';
import { flattenRgba } from '#core/image/flatten-rgba.ts';
import type { ImageFormat, ImageHeader } from '#core/image/image-header.ts';
import { withoutNeedlessChunks } from '#core/image/inspect-png.ts';
import type { Region } from '#core/image-ref.ts';
import type { ImageLimits } from '#core/limits.ts';
import type { PreprocessSpec } from '#core/preprocess-spec.ts';
import { profiledTiff } from './profiled-tiff.ts';

// One image in one thread: several images at once use the cores better than several threads for one. No cache: no
// image comes twice.
sharp.concurrency(1);
sharp.cache(false);
// Whatever the bytes are, only these loaders ever see them. In particular none that opens further files, as SVG can.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: [
    'VipsForeignLoadJpeg',
    'VipsForeignLoadPng',
    'VipsForeignLoadWebp',
    'VipsForeignLoadNsgif',
    'VipsForeignLoadTiff',
    'VipsForeignLoadHeif',
  ],
});

/** uint8 RGBA pixels `[heightPx, widthPx, 4]`, upright, from a decoder other than sharp. */
export interface RawPicture extends Size {
  readonly rgba: Uint8Array;
}

/** A picture has its size already, unless its header lied. */
const UNSCALED = { kernel: 'linear', fidelity: 'exact' } as const;

interface ScaleSpec extends Pick<PreprocessSpec, 'fidelity' | 'color' | 'background'> {
  readonly kernel: Exclude<PreprocessSpec['kernel'], 'linear-sampled' | 'linear-corners'>;
}

type WholeSpec = Pick<PreprocessSpec, 'color' | 'background'>;

/** A picture that can be scaled: its upright size is known, its pixels are not decoded yet. */
export interface ScalablePicture {
  readonly upright: Size;
  /** The whole picture as uint8 RGB `[heightPx, widthPx, 3]` of exactly this size. */
  scaledTo(size: Size, spec: ScaleSpec): Promise<Uint8Array>;
  /** Whether `scaledTo` costs much less than `whole`: the decoder shrinks JPEG for it. (WebP too, but little is saved.) */
  isCheaperScaled(size: Size, spec: ScaleSpec): boolean;
  /** The whole picture as uint8 RGB `[heightPx, widthPx, 3]`, each pixel as it is stored. */
  whole(spec: WholeSpec): Promise<Uint8Array>;
}

/** The picture of a file. */
export interface OpenPicture extends ScalablePicture {
  /** A region of it, which lies within, as a picture of its own: it is cut out before anything is scaled. */
  piece(region: Region): ScalablePicture;
  /** The same picture as a JPEG of at most this size. */
  thumbnail(maxSidePx: number): Promise<Buffer>;
}

/** "sharp 0.35.5, libvips 8.18.0" */
export function sharpVersion(): string {
  return `sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}`;
}

/** Whether a JPEG of this size is shrunk while it is decoded: see {@link resized}. */
export function isShrinkable(from: Size, to: Size, { fidelity }: Pick<PreprocessSpec, 'fidelity'>): boolean {
  const ratio = Math.min(from.widthPx / to.widthPx, from.heightPx / to.heightPx);
  return ratio >= (fidelity === 'fast' ? 2 : 4);
}

/** Opens the bytes of a file whose header was inspected. @throws what sharp throws. */
export async function openWithSharp(
  bytes: Buffer,
  format: ImageFormat,
  header: ImageHeader,
  limits: ImageLimits,
): Promise<OpenPicture> {
  const input =
    format === 'png' ? withoutNeedlessChunks(bytes) : format === 'avif' ? withStillBrand(bytes) : bytes;
  const options: SharpOptions = { failOn: 'warning', limitInputPixels: limits.maxPixels, ignoreIcc: false };
  const wholeSize =
    header.orientation === null ? await uprightSize(input, options) : uprightOf(header, header.orientation);
  const isNaive = ({ color }: WholeSpec): boolean => header.isCmyk && color === 'ignore-profile';
  const scalable = (upright: Size, region?: Region): ScalablePicture => {
    const open = ({ color }: WholeSpec): Sharp =>
      cut(sharp(input, { ...options, ignoreIcc: color === 'ignore-profile' }).autoOrient(), region);
    return {
      upright,
      scaledTo: (size, spec) =>
        isNaive(spec) ? scaledNaiveCmyk(open(spec), size, spec) : scaledRgb(open(spec), size, spec),
      // What is cut out is decoded in full.
      isCheaperScaled: (size, spec) =>
        format === 'jpeg' && region === undefined && isShrinkable(upright, size, spec),
      whole: (spec) =>
        isNaive(spec) ? scaledNaiveCmyk(open(spec), upright, UNSCALED) : wholeRgb(open(spec), upright, spec),
    };
  };
  return {
    ...scalable(wholeSize),
    piece: (region) => scalable({ widthPx: region.width, heightPx: region.height }, region),
    thumbnail: (maxSidePx) => thumbnailOf(sharp(input, options).autoOrient(), maxSidePx),
  };
}

/**
 * Opens pixels that another decoder made.
 *
 * @param colorProfile ICC profile of the pixels; it is applied to the scaled picture, which is the cheaper place.
 */
export function openRaw(picture: RawPicture, colorProfile: Uint8Array | null): OpenPicture {
  const { widthPx, heightPx, rgba } = picture;
  const open = (): Sharp => sharp(rgba, { raw: { width: widthPx, height: heightPx, channels: 4 } });
  const profiled = async (scaled: Sharp, profile: Uint8Array): Promise<Sharp> => {
    const { data, info } = await scaled.raw().toBuffer({ resolveWithObject: true });
    return sharp(profiledTiff(data, { widthPx: info.width, heightPx: info.height }, profile));
  };
  return {
    upright: { widthPx, heightPx },
    scaledTo: async (size, spec) =>
      colorProfile === null || spec.color === 'ignore-profile'
        ? scaledRgb(open(), size, spec)
        : scaledRgb(await profiled(resized(open(), size, spec), colorProfile), size, spec),
    // The profile is applied to all pixels, or to the scaled ones.
    isCheaperScaled: (size, { color }) =>
      colorProfile !== null && color === 'srgb' && size.widthPx * size.heightPx < widthPx * heightPx,
    whole: async (spec) =>
      colorProfile === null || spec.color === 'ignore-profile'
        ? flattenRgba(rgba, spec.background)
        : wholeRgb(await profiled(open(), colorProfile), { widthPx, heightPx }, spec),
    piece: (region) => openRaw(cutRaw(picture, region), colorProfile),
    thumbnail: async (maxSidePx) => {
      const small = withinSide(open(), maxSidePx);
      return thumbnailOf(colorProfile === null ? small : await profiled(small, colorProfile), maxSidePx);
    },
  };
}

function cut(picture: Sharp, region: Region | undefined): Sharp {
  if (region === undefined) return picture;
  const { x, y, width, height } = region;
  return picture.extract({ left: x, top: y, width, height });
}

function cutRaw({ widthPx, rgba }: RawPicture, { x, y, width, height }: Region): RawPicture {
  const piece = new Uint8Array(width * height * 4);
  for (let row = 0; row < height; row++) {
    const from = ((y + row) * widthPx + x) * 4;
    piece.set(rgba.subarray(from, from + width * 4), row * width * 4);
  }
  return { widthPx: width, heightPx: height, rgba: piece };
}

async function scaledRgb(picture: Sharp, size: Size, spec: ScaleSpec): Promise<Uint8Array> {
  const [r, g, b] = spec.background;
  const pixels = await resized(picture.flatten({ background: { r, g, b } }), size, spec)
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer();
  return plain(pixels);
}

async function wholeRgb(picture: Sharp, size: Size, spec: WholeSpec): Promise<Uint8Array> {
  const { data, info } = await resized(picture, size, UNSCALED)
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  return info.channels === 4 ? flattenRgba(data, spec.background) : plain(data);
}

/** A part of a Buffer is a Buffer, which takes longer to make than a part of this. */
function plain({ buffer, byteOffset, length }: Buffer): Uint8Array {
  return new Uint8Array(buffer, byteOffset, length);
}

/**
 * CMYK as Pillow converts it, without a profile: each of R, G, B is (255 − ink) · (255 − black) / 255.
 * Source: python-pillow/Pillow, src/libImaging/Convert.c, `cmyk2rgb`.
 */
async function scaledNaiveCmyk(
  picture: Sharp,
  size: Size,
  spec: Pick<ScaleSpec, 'kernel' | 'fidelity'>,
): Promise<Uint8Array> {
  const inks = await resized(picture.pipelineColourspace('cmyk'), size, spec)
    .toColourspace('cmyk')
    .raw({ depth: 'uchar' })
    .toBuffer();
  const rgb = new Uint8Array(size.widthPx * size.heightPx * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4) {
    const light = 255 - (inks[from + 3] as number);
    for (let i = 0; i < 3; i++) rgb[to++] = Math.round(((255 - (inks[from + i] as number)) * light) / 255);
  }
  return rgb;
}

/**
 * Nothing is cut out here: sharp shrinks while it decodes only where it resizes the whole picture. It does so from a
 * ratio of 2 on, and of 4 without `fastShrinkOnLoad`, which leaves a factor of 2 to the kernel.
 */
function resized(picture: Sharp, size: Size, spec: Pick<ScaleSpec, 'kernel' | 'fidelity'>): Sharp {
  return picture.resize(size.widthPx, size.heightPx, {
    fit: 'fill',
    kernel: spec.kernel,
    fastShrinkOnLoad: spec.fidelity === 'fast',
  });
}

function thumbnailOf(picture: Sharp, maxSidePx: number): Promise<Buffer> {
  return withinSide(picture, maxSidePx)
    .flatten({ background: '#ffffff' })
    .toColourspace('srgb')
    .jpeg({ quality: 75 })
    .toBuffer();
}

function withinSide(picture: Sharp, maxSidePx: number): Sharp {
  return picture.resize(maxSidePx, maxSidePx, { fit: 'inside', withoutEnlargement: true });
}

async function uprightSize(input: Buffer, options: SharpOptions): Promise<Size> {
  const { autoOrient } = await sharp(input, options).metadata();
  return { widthPx: autoOrient.width, heightPx: autoOrient.height };
}

/** Orientations 5 to 8 lie on their side. */
export function uprightOf({ widthPx, heightPx }: Size, orientation: number): Size {
  return orientation >= 5 ? { widthPx: heightPx, heightPx: widthPx } : { widthPx, heightPx };
}

/** libvips does not know the brand of AVIF sequences, whose first frame is an AVIF like any other. */
function withStillBrand(bytes: Buffer): Buffer {
  if (bytes.toString('latin1', 8, 12) !== 'avis') return bytes;
  const still = Buffer.from(bytes);
  still.write('avif', 8, 'latin1');
  return still;
}
