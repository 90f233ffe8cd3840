import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { comparePixels, type PixelPorts } from '#functions/finalizing/compare-pixels.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const IMAGES = 150;
const candidates = (from = 0) =>
  Array.from({ length: IMAGES }, (_, i) => ({
    position: 2 * i,
    key: `${from + i}.jpg`,
    etag: 'e',
    pixelHash: null,
  }));

async function works() {
  const folder = await temporaryFolder();
  const hashed: string[] = [];
  let left = Number.POSITIVE_INFINITY;
  const ports: PixelPorts = {
    hashOf: async ({ key }) => {
      hashed.push(key);
      return key === '7.jpg' ? null : `hash of ${key}`;
    },
    isOutOfTime: () => left-- <= 0,
  };
  return {
    store: new FolderStore(folder.path),
    ports,
    hashed,
    stopAfterBatches: (batches: number) => {
      left = batches;
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

describe('the pictures of a job that may be the same', () => {
  it('are hashed by their positions; one that cannot be has no hash', async () => {
    await using job = await works();
    const hashes = await comparePixels('j', candidates(), job.store, job.ports);
    expect([hashes.size, hashes.get(0), hashes.get(14), hashes.get(16)]).toEqual([
      IMAGES - 1,
      'hash of 0.jpg',
      undefined,
      'hash of 8.jpg',
    ]);
  });

  it('are hashed once, however often the job is finalized, or broken off and begun again', async () => {
    await using job = await works();
    job.stopAfterBatches(1);
    const first = comparePixels('j', candidates(), job.store, job.ports);
    await expect(first).rejects.toMatchObject({ code: 'aborted', retryable: true });
    job.stopAfterBatches(2);
    const hashes = await comparePixels('j', candidates(), job.store, job.ports);
    job.stopAfterBatches(0);
    expect(await comparePixels('j', candidates(), job.store, job.ports)).toEqual(hashes);
    expect([job.hashed.length, new Set(job.hashed).size]).toEqual([IMAGES, IMAGES]);
  });

  it('are hashed anew where they are others than before', async () => {
    await using job = await works();
    await comparePixels('j', candidates(), job.store, job.ports);
    const hashes = await comparePixels('j', candidates(1), job.store, job.ports);
    expect(hashes.get(0)).toBe('hash of 1.jpg');
  });

  it('are not decoded where an earlier job has done so, and are no more than may be', async () => {
    await using job = await works();
    const known = candidates().map((candidate) => ({ ...candidate, pixelHash: 'known' }));
    const hashes = await comparePixels('j', known, job.store, { ...job.ports, maxImages: 100 });
    expect([hashes.size, job.hashed]).toEqual([100, []]);
  });
});
