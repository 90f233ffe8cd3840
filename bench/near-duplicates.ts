import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { preprocessImage } from '#adapters/image/preprocess-image.ts';
import { loadModel } from '#adapters/model-folder.ts';
import { hammingDistance } from '#core/image/perceptual-hash.ts';
import { ImageLimits } from '#core/limits.ts';
import { sharedFolder } from '#test/support/shared-folder.ts';
import type { BenchResult } from './support/bench.ts';

type Change = (image: Sharp, size: { width: number; height: number }) => Sharp;

/** What happens to pictures on their way through the world, and leaves them the same picture to a person. */
const CHANGES: Readonly<Record<string, Change>> = {
  'JPEG quality 90': (image) => image.jpeg({ quality: 90 }),
  'JPEG quality 50': (image) => image.jpeg({ quality: 50 }),
  'JPEG quality 10': (image) => image.jpeg({ quality: 10 }),
  'half size': (image, { width }) => image.resize(Math.max(16, Math.round(width / 2))).jpeg({ quality: 85 }),
  'double size': (image, { width }) => image.resize(width * 2).jpeg({ quality: 85 }),
  'WebP quality 60': (image) => image.webp({ quality: 60 }),
  '10 % brighter': (image) => image.linear(1.1, 0).jpeg({ quality: 90 }),
  '1 % cut off each side': (image, size) => image.extract(inner(size, 0.01)).jpeg({ quality: 90 }),
  '3 % cut off each side': (image, size) => image.extract(inner(size, 0.03)).jpeg({ quality: 90 }),
};

/**
 * Which Hamming radius makes near duplicates? Distances between each picture of the corpus and changed versions of
 * it (recall), and between all pairs of different pictures (false positives). The corpus stands outside the project.
 */
export async function nearDuplicatesBench(): Promise<BenchResult[]> {
  const folder = sharedFolder('corpus', 'good');
  if (folder === undefined) throw new Error('this benchmark needs ../shared/corpus, or SLUICE_SHARED_DIR');
  const { manifest } = await loadModel('quality');
  const { widthPx, heightPx } = manifest.preprocess;
  const row = new Uint8Array(widthPx * heightPx * 3);
  const hashOf = async (bytes: Buffer): Promise<string | null> => {
    const outcome = await preprocessImage(bytes, manifest.preprocess, ImageLimits.parse({}), row);
    return outcome.ok ? outcome.image.perceptualHash : null;
  };

  const originals: string[] = [];
  const distances: Record<string, number[]> = {};
  for (const name of (await readdir(folder)).sort()) {
    // One picture in eight orientations counts once; others are known copies of their neighbours.
    if (/Landscape_[2-8]|kodim23_q5|orientation_8|bricks-gray|INDEX/.test(name)) continue;
    const bytes = await readFile(join(folder, name));
    const hash = await hashOf(bytes);
    if (hash === null) continue;
    originals.push(hash);
    const plain = await sharp(bytes)
      .autoOrient()
      .flatten({ background: '#fff' })
      .png()
      .toBuffer()
      .catch(() => undefined);
    if (plain === undefined) continue;
    const size = await sharp(plain).metadata();
    if (Math.min(size.width, size.height) < 64) continue;
    for (const [change, apply] of Object.entries(CHANGES)) {
      const changed = await hashOf(await apply(sharp(plain), size).toBuffer());
      distances[change] ??= [];
      distances[change].push(changed === null ? 64 : hammingDistance(hash, changed));
    }
  }
  const pairs = originals.flatMap((a, i) => originals.slice(i + 1).map((b) => hammingDistance(a, b)));
  const all = Object.values(distances).flat();
  const results: BenchResult[] = [
    { metric: 'different pairs', value: pairs.length, unit: 'pairs' },
    { metric: 'nearest different pair', value: Math.min(...pairs), unit: 'bits' },
  ];
  for (const radius of [0, 2, 4, 6, 8, 10]) {
    results.push(
      { metric: `radius ${radius}: changed versions found`, value: share(all, radius), unit: 'share' },
      { metric: `radius ${radius}: different pairs joined`, value: share(pairs, radius), unit: 'share' },
    );
  }
  for (const [change, bits] of Object.entries(distances)) {
    results.push({
      metric: `radius ${manifest.policy.nearDuplicateMaxBits}: ${change}`,
      value: share(bits, manifest.policy.nearDuplicateMaxBits),
      unit: 'share',
    });
  }
  return results;
}

function share(bits: readonly number[], radius: number): number {
  return bits.filter((distance) => distance <= radius).length / bits.length;
}

function inner({ width, height }: { width: number; height: number }, cut: number) {
  const left = Math.round(width * cut);
  const top = Math.round(height * cut);
  return { left, top, width: width - 2 * left, height: height - 2 * top };
}
