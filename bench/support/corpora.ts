import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import PQueue from 'p-queue';
import sharp, { type Sharp } from 'sharp';
import { Random } from '#core/simulation/random.ts';
import { samplePhoto } from './sample-photos.ts';

/** What a folder of images may be like. */
export interface Corpus {
  readonly name: string;
  readonly images: number;
  /** Writes one of its images. */
  file(base: Buffer, random: Random): Promise<{ suffix: string; bytes: Buffer }>;
  /** Of the photos that its images are cut from. */
  readonly baseMegapixels: number;
}

const BASES = 3;

/** Pictures on web pages: JPEGs of 0.2 to 1 megapixel, of all qualities. */
const WEB: Corpus = {
  name: 'web JPEGs of 0.2 to 1 megapixel',
  images: 400,
  baseMegapixels: 3,
  async file(base, random) {
    const picture = await cut(base, between(random, 0.2, 1), random);
    return { suffix: 'jpg', bytes: await picture.jpeg({ quality: whole(random, 60, 92) }).toBuffer() };
  },
};

/** Photos as phones make them: 8 to 12 megapixels, EXIF, some of them on their side. */
const PHONE: Corpus = {
  name: 'phone photos of 8 to 12 megapixels',
  images: 100,
  baseMegapixels: 12,
  async file(base, random) {
    const picture = await cut(base, between(random, 8, 12), random);
    const bytes = await picture
      .jpeg({ quality: whole(random, 80, 95) })
      .withExif({ IFD0: { Make: 'Sluice', Model: 'bench' }, IFD2: { ISOSpeedRatings: '100' } })
      .withMetadata({ orientation: random.uniform() < 0.3 ? 6 : 1 })
      .toBuffer();
    return { suffix: 'jpg', bytes };
  },
};

/** A shop's catalogue: PNG and WebP, thumbnails and large pictures side by side. */
const MIXED: Corpus = {
  name: 'PNG and WebP of 0.05 to 2.5 megapixels',
  images: 240,
  baseMegapixels: 4,
  async file(base, random) {
    const [least, most] = [
      [0.05, 0.1],
      [0.3, 0.8],
      [1.5, 2.5],
    ][whole(random, 0, 2)] as [number, number];
    const picture = await cut(base, between(random, least, most), random);
    return random.uniform() < 0.5
      ? { suffix: 'png', bytes: await picture.png({ compressionLevel: 2 }).toBuffer() }
      : {
          suffix: 'webp',
          bytes: await picture.webp({ quality: whole(random, 60, 90), effort: 1 }).toBuffer(),
        };
  },
};

export const CORPORA: readonly Corpus[] = [WEB, PHONE, MIXED];

/** The same files for the same seed. */
export async function writeCorpus(folder: string, corpus: Corpus, seed: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  const bases: Buffer[] = [];
  for (let i = 0; i < BASES; i++) bases.push(await samplePhoto(corpus.baseMegapixels, seed + i));
  const queue = new PQueue({ concurrency: 4 });
  await queue.addAll(
    Array.from({ length: corpus.images }, (_, i) => async () => {
      const random = new Random(seed + i);
      const { suffix, bytes } = await corpus.file(bases[i % BASES] as Buffer, random);
      await writeFile(join(folder, `${String(i).padStart(5, '0')}.${suffix}`), bytes);
    }),
  );
}

/** A region of the base at random, of about that many megapixels, landscape or portrait. */
export async function cut(base: Buffer, megapixels: number, random: Random): Promise<Sharp> {
  const { width, height } = await sharp(base).metadata();
  const aspect = between(random, 1, 1.6) ** (random.uniform() < 0.7 ? 1 : -1);
  const cutWidth = Math.min(width, Math.round(Math.sqrt(megapixels * 1e6 * aspect)));
  const cutHeight = Math.min(height, Math.round((megapixels * 1e6) / cutWidth));
  return sharp(base).extract({
    left: Math.floor(random.uniform() * (width - cutWidth + 1)),
    top: Math.floor(random.uniform() * (height - cutHeight + 1)),
    width: cutWidth,
    height: cutHeight,
  });
}

function between(random: Random, least: number, most: number): number {
  return least + (most - least) * random.uniform();
}

function whole(random: Random, least: number, most: number): number {
  return least + Math.floor(random.uniform() * (most - least + 1));
}
