import sharp from 'sharp';
import type { RgbImage } from './pillow.ts';

/** One image made worse in one respect by a known degree. */
export interface Variation {
  /** Such as `brightness ×0.1`. */
  readonly name: string;
  readonly image: RgbImage;
}

/** Graded variations of a picture, from hardly visible to ruined: darker, washed out, blurred, flattened, desaturated. */
export async function variationsOf(image: RgbImage): Promise<Variation[]> {
  const mean = meanColor(image);
  const variations: Variation[] = [
    ...[0.1, 0.2, 0.4, 0.6].map((factor) => ({
      name: `brightness ×${factor}`,
      image: mapLevels(image, (level) => level * factor),
    })),
    ...[0.8, 0.95].map((share) => ({
      name: `washed out by ${share}`,
      image: mapLevels(image, (level) => 255 - (255 - level) * (1 - share)),
    })),
    ...[0.8, 0.98].map((share) => ({
      name: `flattened by ${share}`,
      image: mapLevels(image, (level, band) => mean[band]! + (level - mean[band]!) * (1 - share)),
    })),
    ...[0, 0.2].map((saturation) => ({
      name: `saturation ×${saturation}`,
      image: withSaturation(image, saturation),
    })),
  ];
  for (const share of [0.005, 0.01, 0.02, 0.04]) {
    variations.push({ name: `blurred by ${share} of its size`, image: await blurred(image, share) });
  }
  return variations;
}

/** Gaussian blur; sigma as a share of the longer side. */
export async function blurred(image: RgbImage, sigmaShare: number): Promise<RgbImage> {
  const { widthPx, heightPx, data } = image;
  const sigmaPx = sigmaShare * Math.max(widthPx, heightPx);
  // 0.3 px is the least that sharp accepts, and nothing to be seen.
  if (sigmaPx < 0.3) return image;
  const result = await sharp(data, { raw: { width: widthPx, height: heightPx, channels: 3 } })
    .blur({ sigma: sigmaPx, precision: 'float' })
    .raw()
    .toBuffer();
  return { widthPx, heightPx, data: new Uint8Array(result) };
}

/** The picture as a PNG, which loses nothing. */
export async function toPng({ widthPx, heightPx, data }: RgbImage): Promise<Buffer> {
  return sharp(data, { raw: { width: widthPx, height: heightPx, channels: 3 } })
    .png({ compressionLevel: 1 })
    .toBuffer();
}

/** `map` gets a level and its band (0–2); its result is rounded and clipped. */
function mapLevels(image: RgbImage, map: (level: number, band: number) => number): RgbImage {
  return { ...image, data: Uint8Array.from(image.data, (level, i) => toLevel(map(level, i % 3))) };
}

function withSaturation(image: RgbImage, saturation: number): RgbImage {
  const data = new Uint8Array(image.data.length);
  for (let i = 0; i < data.length; i += 3) {
    const gray = Math.round(0.299 * image.data[i]! + 0.587 * image.data[i + 1]! + 0.114 * image.data[i + 2]!);
    for (let band = 0; band < 3; band++) {
      data[i + band] = toLevel(gray + (image.data[i + band]! - gray) * saturation);
    }
  }
  return { ...image, data };
}

function meanColor({ data }: RgbImage): number[] {
  const sums = [0, 0, 0];
  for (let i = 0; i < data.length; i++) sums[i % 3]! += data[i]!;
  return sums.map((sum) => sum / (data.length / 3));
}

function toLevel(value: number): number {
  return Math.min(Math.max(Math.round(value), 0), 255);
}
