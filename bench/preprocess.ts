import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { preprocessImage } from '#adapters/image/preprocess-image.ts';
import { decodingProcesses } from '#cli/local-job.ts';
import { RunConfig } from '#core/config.ts';
import { placementOf } from '#core/geometry.ts';
import { perceptualHash } from '#core/image/perceptual-hash.ts';
import { placePicture } from '#core/image/place-picture.ts';
import type { ImageRef } from '#core/image-ref.ts';
import { ImageLimits } from '#core/limits.ts';
import { PreprocessSpec, preprocessHash } from '#core/preprocess-spec.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { atLeast, atMost, type BenchResult, median, timed } from './support/bench.ts';
import { samplePhoto, writeSamplePhotos } from './support/sample-photos.ts';

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
const LIMITS = ImageLimits.parse({});

const SIZES = [
  { name: '12 MP', megapixels: 12, floorTarget: 0.75, scalingTarget: 1.75, images: 64 },
  { name: '1 MP', megapixels: 1, floorTarget: 0.4, scalingTarget: 1.5, images: 512 },
  { name: '0.2 MP', megapixels: 0.2, floorTarget: undefined, scalingTarget: 1.5, images: 1024 },
] as const;

/**
 * How near decoding comes to its floor, libjpeg-turbo's own scaled decode (`djpeg` at the smallest scale that keeps
 * the shorter side at 256 px or more), and to one plain call of sharp; and what a second core adds.
 */
export async function preprocessBench(): Promise<BenchResult[]> {
  const hasDjpeg = spawnSync('djpeg', ['-version'], { stdio: 'ignore' }).error === undefined;
  if (!hasDjpeg) console.error('djpeg is not installed (Debian: libjpeg-turbo-progs): no decode floor');
  const results: BenchResult[] = [];
  for (const size of SIZES) {
    results.push(...(await oneCore(size, hasDjpeg)), ...(await scaling(size)));
  }
  return results;
}

async function oneCore(size: (typeof SIZES)[number], hasDjpeg: boolean): Promise<BenchResult[]> {
  await using folder = await temporaryFolder();
  const photo = await samplePhoto(size.megapixels, 1);
  const { width, height } = await sharp(photo).metadata();
  const file = join(folder.path, 'photo.jpg');
  const tiny = join(folder.path, 'tiny.jpg');
  await writeFile(file, photo);
  await writeFile(
    tiny,
    await sharp({ create: { width: 8, height: 8, channels: 3, background: '#888' } })
      .jpeg()
      .toBuffer(),
  );
  const scale = `${Math.ceil((SHORTER_SIDE_PX * 8) / Math.min(width, height))}/8`;
  const djpeg = (path: string): void =>
    void execFileSync('djpeg', ['-scale', scale, '-outfile', '/dev/null', path]);

  const row = new Uint8Array(224 * 224 * 3);
  const runs = {
    sluice: [] as number[],
    sharp: [] as number[],
    floor: [] as number[],
    hashing: [] as number[],
  };
  const placement = placementOf({ widthPx: width, heightPx: height }, SPEC);
  const { widthPx, heightPx } = placement.scaled;
  const pixels = await sharp(photo).resize(widthPx, heightPx, { fit: 'fill' }).raw().toBuffer();
  for (let round = 0; round <= ROUNDS; round++) {
    const sluice = await timed(() => preprocessImage(photo, SPEC, LIMITS, row));
    const plain = await timed(() =>
      sharp(photo).resize(SHORTER_SIDE_PX, SHORTER_SIDE_PX, { fit: 'outside' }).raw().toBuffer(),
    );
    // What a pack costs an image beside decoding: both hashes, the copy into the tensor, the pack's checksum.
    const hashing = await timed(() => {
      createHash('sha256').update(pixels).digest('hex');
      perceptualHash(pixels, widthPx, heightPx);
      placePicture(pixels, placement, SPEC, row);
      createHash('sha256').update(row).digest('hex');
    });
    const floor = hasDjpeg ? (await timed(() => djpeg(file))) - (await timed(() => djpeg(tiny))) : Number.NaN;
    if (round === 0) continue;
    runs.sluice.push(sluice);
    runs.sharp.push(plain);
    runs.hashing.push(hashing);
    runs.floor.push(floor);
  }
  const sluiceMs = median(runs.sluice);
  const shareName = `${size.name}: packing and hashing / decoding`;
  const share = median(runs.hashing) / (sluiceMs - median(runs.hashing));
  const results: BenchResult[] = [
    { metric: `${size.name}: file`, value: photo.length / 1e6, unit: 'MB' },
    { metric: `${size.name}: one core`, value: 1000 / sluiceMs, unit: 'images/s' },
    { metric: `${size.name}: / plain sharp call`, value: median(runs.sharp) / sluiceMs, unit: 'ratio' },
    atMost(shareName, share, 0.01),
  ];
  if (!hasDjpeg) return results;
  const floorMs = median(runs.floor);
  results.push({ metric: `${size.name}: djpeg -scale ${scale}`, value: 1000 / floorMs, unit: 'images/s' });
  const metric = `${size.name}: / decode floor`;
  const ratio = floorMs / sluiceMs;
  results.push(
    size.floorTarget === undefined
      ? { metric, value: ratio, unit: 'ratio' }
      : atLeast(metric, ratio, size.floorTarget),
  );
  return results;
}

/** Images/s of two decoding processes over one, each pack written to a folder, as a job does it. */
async function scaling(size: (typeof SIZES)[number]): Promise<BenchResult[]> {
  await using folder = await temporaryFolder();
  const photos = join(folder.path, 'photos');
  await writeSamplePhotos(photos, size);
  const refs: ImageRef[] = Array.from({ length: size.images }, (_, i) => ({
    key: `${String(i).padStart(6, '0')}.jpg`,
    etag: '',
    bytes: 1,
  }));
  const rate = async (processes: number): Promise<number> => {
    const works = { kind: 'folder', root: join(folder.path, `works-${processes}`) } as const;
    const source = { location: { kind: 'folder', root: photos } as const };
    await using decoders = decodingProcesses({ source, config: RunConfig.parse({ processes }) }, works);
    const build = (range: number, some: readonly ImageRef[]) =>
      decoders.build({
        id: { job: 'bench', stage: 'bench', shard: 0, range },
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
    one.push(await rate(1));
    two.push(await rate(2));
  }
  const ratio = median(two.map((fast, i) => fast / (one[i] as number)));
  return [
    { metric: `${size.name}: one process, to packs`, value: median(one), unit: 'images/s' },
    { metric: `${size.name}: two processes, to packs`, value: median(two), unit: 'images/s' },
    atLeast(`${size.name}: two processes / one`, ratio, size.scalingTarget),
  ];
}
