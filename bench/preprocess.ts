import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { hashesOf } from '#adapters/image/picture-hashes.ts';
import { preprocessImage } from '#adapters/image/preprocess-image.ts';
import { isShrinkable } from '#adapters/image/sharp-picture.ts';
import { loadModel } from '#adapters/model-folder.ts';
import { decodingProcesses } from '#cli/local-job.ts';
import { RunConfig } from '#core/config.ts';
import { crc32Appender } from '#core/crc32-combine.ts';
import { placementOf, type Size } from '#core/geometry.ts';
import { KernelMemory } from '#core/image/kernel-memory.ts';
import { pixelDifference } from '#core/image/pixel-difference.ts';
import { placePicture } from '#core/image/place-picture.ts';
import type { ImageRef } from '#core/image-ref.ts';
import { ImageLimits } from '#core/limits.ts';
import { PreprocessSpec, preprocessHash } from '#core/preprocess-spec.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { atLeast, atMost, type BenchResult, median, timed } from './support/bench.ts';
import { Djpeg } from './support/djpeg.ts';
import { samplePhoto, writeSamplePhotos } from './support/sample-photos.ts';

const WARM_UP_ROUNDS = 5;
const HASHING_REPEATS = 20;
const ROUNDS = 21;
const SCALING_ROUNDS = 5;
const SHORTER_SIDE_PX = 256;

/** As torchvision prepares ImageNet: Resize(256), CenterCrop(224). */
const SPEC = PreprocessSpec.parse({
  widthPx: 224,
  heightPx: 224,
  resize: { mode: 'shorter-side+center-crop', shorterSidePx: SHORTER_SIDE_PX },
  kernel: 'linear',
  fidelity: 'faithful',
  color: 'ignore-profile',
  background: [255, 255, 255],
});
const EXACT: PreprocessSpec = { ...SPEC, fidelity: 'exact' };
const LIMITS = ImageLimits.parse({});

const SIZES = [
  { name: '12 MP', megapixels: 12, floorTarget: 0.75, exactTarget: 0.6, scalingTarget: 1.75, images: 64 },
  { name: '1 MP', megapixels: 1, floorTarget: 0.4, exactTarget: 0.45, scalingTarget: 1.5, images: 512 },
  {
    name: '0.2 MP',
    megapixels: 0.2,
    floorTarget: undefined,
    exactTarget: 0.33,
    scalingTarget: 1.5,
    images: 1024,
  },
] as const;

/**
 * How near decoding comes to its floor, libjpeg-turbo's own scaled decode (`djpeg` at the smallest scale that keeps
 * the shorter side at 256 px or more), and to one plain call of sharp; the same of exact pictures, whose floor is
 * libjpeg-turbo's decode at full size; and what a second core adds.
 */
export async function preprocessBench(): Promise<BenchResult[]> {
  await using djpeg = Djpeg.start();
  if (djpeg === undefined)
    console.error('djpeg is not installed (Debian: libjpeg-turbo-progs): no decode floor');
  const results: BenchResult[] = [];
  for (const size of SIZES) {
    results.push(...(await oneCore(size, djpeg)), ...(await scaling(size)));
  }
  return results;
}

async function oneCore(size: (typeof SIZES)[number], djpeg: Djpeg | undefined): Promise<BenchResult[]> {
  await using folder = await temporaryFolder();
  const photo = await samplePhoto(size.megapixels, 1);
  const { width, height } = await sharp(photo).metadata();
  const floor = djpeg && (await djpegFloor(djpeg, folder.path, photo, Math.min(width, height)));
  const source = { widthPx: width, heightPx: height };
  const { preprocess: builtIn } = (await loadModel('quality')).manifest;
  const row = rowOf(SPEC);
  const builtInRow = rowOf(builtIn);
  const hashingOf = await hashing(photo, source, SPEC);
  const builtInHashingOf = await hashing(photo, source, builtIn);
  const runs: Record<string, number[]> = {
    sluice: [],
    exact: [],
    sharp: [],
    likeSharp: [],
    floor: [],
    doubleFloor: [],
    wholeFloor: [],
    hashing: [],
    builtIn: [],
    builtInHashing: [],
  };
  const run = async (name: string, work: () => Promise<number>, round: number): Promise<void> => {
    const ms = await work();
    // The first rounds compile and fill caches.
    if (round >= WARM_UP_ROUNDS) runs[name]?.push(ms);
  };
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    if (floor !== undefined) {
      await run('floor', () => floor(1), round);
      await run('doubleFloor', () => floor(2), round);
      await run('wholeFloor', () => floor(8), round);
    }
    // What ran before had the processor's caches: of two images the first is not counted. In a job one comes after the other.
    const second = async (work: () => Promise<unknown>): Promise<number> => {
      await work();
      return timed(work);
    };
    await run('sharp', () => second(() => plainSharp(photo)), round);
    await run('sluice', () => second(() => preprocessImage(photo, SPEC, LIMITS, row)), round);
    await run('likeSharp', () => second(() => likeSharp(photo, source)), round);
    await run('exact', () => second(() => preprocessImage(photo, EXACT, LIMITS, row)), round);
    await run('builtIn', () => second(() => preprocessImage(photo, builtIn, LIMITS, builtInRow)), round);
    // Many at once: in a job this code is warm.
    const warm = async (work: () => void) =>
      (await timed(() => repeat(work, HASHING_REPEATS))) / HASHING_REPEATS;
    await run('hashing', () => warm(hashingOf), round);
    await run('builtInHashing', () => warm(builtInHashingOf), round);
  }
  const ms = (name: string): number => median(runs[name] ?? []);
  const hashingShare = (whole: string, hashing: string): number => ms(hashing) / (ms(whole) - ms(hashing));
  const results: BenchResult[] = [
    { metric: `${size.name}: file`, value: photo.length / 1e6, unit: 'MB' },
    { metric: `${size.name}: one core`, value: 1000 / ms('sluice'), unit: 'images/s' },
    { metric: `${size.name}: / plain sharp call`, value: ms('sharp') / ms('sluice'), unit: 'ratio' },
    // What is left of the way to the floor, from here on, is within sharp.
    {
      metric: `${size.name}: / sharp call with the same settings`,
      value: ms('likeSharp') / ms('sluice'),
      unit: 'ratio',
    },
    atMost(`${size.name}: packing and hashing / decoding`, hashingShare('sluice', 'hashing'), 0.01),
    atMost(
      `${size.name}: the same for the built-in model (128 px)`,
      hashingShare('builtIn', 'builtInHashing'),
      0.01,
    ),
    { metric: `${size.name}: exact, one core`, value: 1000 / ms('exact'), unit: 'images/s' },
    ...(await differences(size.name, photo)),
  ];
  if (floor === undefined) return results;
  const ratio = ms('floor') / ms('sluice');
  const name = `${size.name}: / decode floor (djpeg -scale)`;
  results.push(
    { metric: `${size.name}: decode floor`, value: 1000 / ms('floor'), unit: 'images/s' },
    size.floorTarget === undefined
      ? { metric: name, value: ratio, unit: 'ratio' }
      : atLeast(name, ratio, size.floorTarget),
    // A faithful picture is not to be had from the smallest scale: it is decoded at twice that, and averaged.
    {
      metric: `${size.name}: / djpeg at twice that scale`,
      value: ms('doubleFloor') / ms('sluice'),
      unit: 'ratio',
    },
    {
      metric: `${size.name}: exact / decode floor (djpeg -scale)`,
      value: ms('floor') / ms('exact'),
      unit: 'ratio',
    },
    atLeast(
      `${size.name}: exact / decode floor at full size (djpeg)`,
      ms('wholeFloor') / ms('exact'),
      size.exactTarget,
    ),
  );
  return results;
}

/** How far a faithful picture is from the exact one, which the tests hold to be Pillow's. */
async function differences(name: string, photo: Buffer): Promise<BenchResult[]> {
  const [faithful, exact] = await Promise.all(
    [SPEC, EXACT].map(async (spec) => {
      const row = rowOf(spec);
      await preprocessImage(photo, spec, LIMITS, row);
      return row;
    }),
  );
  const { mean, p99 } = pixelDifference(
    Float32Array.from(exact as Uint8Array),
    (i) => faithful?.[i] as number,
  );
  return [
    atMost(`${name}: faithful, mean difference from exact`, mean, 0.8, 'levels'),
    atMost(`${name}: faithful, 99th percentile of it`, p99, 5, 'levels'),
  ];
}

/** Memory for one picture of a pack. */
function rowOf({ widthPx, heightPx }: PreprocessSpec): Uint8Array {
  return new Uint8Array(widthPx * heightPx * 3);
}

function repeat(work: () => void, times: number): void {
  for (let i = 0; i < times; i++) work();
}

function plainSharp(photo: Buffer): Promise<Buffer> {
  return sharp(photo).resize(SHORTER_SIDE_PX, SHORTER_SIDE_PX, { fit: 'outside' }).raw().toBuffer();
}

/** As a faithful picture is had from sharp, without what is done for it before and after. */
function likeSharp(photo: Buffer, source: Size): Promise<Buffer> {
  const { widthPx, heightPx } = placementOf(source, SPEC).scaled;
  return sharp(photo)
    .resize(widthPx, heightPx, { fit: 'fill', kernel: 'linear', fastShrinkOnLoad: false })
    .raw()
    .toBuffer();
}

/**
 * What a pack costs an image beside decoding: the copy into the tensor, both hashes, and its part of the pack's checksum. What the decoder
 * has shrunk is brought to the kernels' memory first; what was scaled there lies there.
 */
async function hashing(photo: Buffer, source: Size, spec: PreprocessSpec): Promise<() => void> {
  const placement = placementOf(source, spec);
  const { scaled } = placement;
  const { data: pixels } = await sharp(photo)
    .resize(scaled.widthPx, scaled.heightPx, { fit: 'fill' })
    .raw()
    .toUint8Array();
  const memory = new KernelMemory();
  const lies = memory.load(pixels, scaled);
  const isShrunk = isShrinkable(source, scaled, spec);
  const append = crc32Appender(pixels.length);
  const row = rowOf(spec);
  let checksum = 0;
  return () => {
    if (isShrunk) memory.clear();
    const lines = isShrunk ? memory.load(pixels, scaled) : lies;
    placePicture(lines, placement, spec, row);
    checksum = append(checksum, hashesOf(row, lines, source).rowChecksum);
  };
}

/** The milliseconds of `djpeg` at the smallest scale M/8 that keeps the shorter side at 256 px, or a multiple of it up to 8/8. */
async function djpegFloor(
  djpeg: Djpeg,
  folder: string,
  photo: Buffer,
  shorterSidePx: number,
): Promise<(times: number) => Promise<number>> {
  const file = join(folder, 'photo.jpg');
  const tiny = join(folder, 'tiny.jpg');
  await writeFile(file, photo);
  await writeFile(
    tiny,
    await sharp({ create: { width: 8, height: 8, channels: 3, background: '#888' } })
      .jpeg()
      .toBuffer(),
  );
  const eighths = Math.ceil((SHORTER_SIDE_PX * 8) / shorterSidePx);
  return async (times) => {
    const scale = Math.min(8, times * eighths);
    // Starting the process is no part of decoding: the time of an 8 × 8 picture is taken off.
    return (await djpeg.decodingMs(file, scale)) - (await djpeg.decodingMs(tiny, scale));
  };
}

/**
 * Images/s of two decoding processes (the default on two cores) over one core's (one process, one image at a time),
 * each pack written to a folder, as a job does it.
 */
async function scaling(size: (typeof SIZES)[number]): Promise<BenchResult[]> {
  await using folder = await temporaryFolder();
  const photos = join(folder.path, 'photos');
  await writeSamplePhotos(photos, size);
  const refs: ImageRef[] = Array.from({ length: size.images }, (_, i) => ({
    key: `${String(i).padStart(6, '0')}.jpg`,
    etag: '',
    bytes: 1,
  }));
  const rate = async (cores: { processes: number; imagesInFlight?: number }): Promise<number> => {
    const { processes } = cores;
    const works = { kind: 'folder', root: join(folder.path, `works-${processes}`) } as const;
    const source = { kind: 'folder', root: photos } as const;
    await using decoders = decodingProcesses(RunConfig.parse(cores), works);
    const build = (range: number, some: readonly ImageRef[]) =>
      decoders.build({
        id: { job: 'bench', stage: 'bench', name: String(range) },
        source,
        refs: some,
        preprocess: SPEC,
        preprocessHash: preprocessHash(SPEC),
      });
    await Promise.all(Array.from({ length: processes }, (_, i) => build(i, refs.slice(0, 4))));
    const packs = 16;
    const perPack = size.images / packs;
    const ms = await timed(() =>
      Promise.all(
        Array.from({ length: packs }, (_, i) => build(i, refs.slice(i * perPack, (i + 1) * perPack))),
      ),
    );
    return size.images / (ms / 1000);
  };
  const one: number[] = [];
  const two: number[] = [];
  for (let round = 0; round < SCALING_ROUNDS; round++) {
    one.push(await rate({ processes: 1, imagesInFlight: 1 }));
    two.push(await rate({ processes: 2 }));
  }
  const ratio = median(two.map((fast, i) => fast / (one[i] as number)));
  return [
    { metric: `${size.name}: one core, to packs`, value: median(one), unit: 'images/s' },
    { metric: `${size.name}: two cores, to packs`, value: median(two), unit: 'images/s' },
    atLeast(`${size.name}: two cores / one`, ratio, size.scalingTarget),
  ];
}
