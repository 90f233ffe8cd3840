import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ImageLimits } from '#core/limits.ts';
import type { PackRequest } from '#functions/preprocessing/build-pack.ts';
import { PackProcesses } from '#functions/preprocessing/pack-processes.ts';
import { writePhotos } from '#test/support/photo-folder.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { TINY_SPEC } from '#test/support/tiny-spec.ts';

const entry = new URL('../../support/hostile-pack-process.ts', import.meta.url);
const location = { kind: 'folder', root: '/nowhere' } as const;
const setup = {
  works: location,
  limits: ImageLimits.parse({}),
  options: { maxImageBytes: 1, imagesInFlight: 1, maxInFlightBytes: 1 },
};

function request(...keys: string[]): PackRequest {
  return {
    id: { job: 'j', stage: 's', name: 'n' },
    source: location,
    refs: keys.map((key) => ({ key, etag: '', bytes: 0 })),
    preprocess: TINY_SPEC,
    preprocessHash: 'h',
  };
}

describe('decoding processes', () => {
  it('find the image that takes a process down, refuse that one, and decode the others', async () => {
    await using processes = new PackProcesses(1, setup, entry);
    expect((await processes.build(request('a', 'crash', 'b', 'crash too'))).refused).toBe(2);
  });

  it('start a pack again without the images that hold their decoders', async () => {
    await using processes = new PackProcesses(1, setup, entry);
    expect((await processes.build(request('stuck', 'a', 'stuck too'))).refused).toBe(2);
  });

  it.each([
    ['all images are sound', ['a', 'b'], 0],
    ['an image takes the process down', ['a', 'crash', 'b'], 1],
    ['images hold their decoders', ['stuck', 'a', 'stuck too'], 2],
  ])('make several packs of the same images, the same of each, where %s', async (_, keys, refused) => {
    await using processes = new PackProcesses(1, setup, entry);
    const one = request(...keys);
    const built = await processes.build({ ...one, also: [{ ...one, preprocessHash: 'another' }] });
    expect([built, ...(built.also ?? [])].map((pack) => pack.refused)).toEqual([refused, refused]);
  });

  it('give up a process in which a decoder still runs on, and keep a sound one', async () => {
    await using processes = new PackProcesses(1, setup, entry);
    const pids = [];
    for (const key of ['a', 'b', 'one stuck', 'c']) pids.push((await processes.build(request(key))).images);
    expect(pids[1]).toBe(pids[0]);
    expect(pids[2]).toBe(pids[0]);
    expect(pids[3]).not.toBe(pids[0]);
  });

  it('pass on that a store does not answer: that is no image’s fault', async () => {
    await using processes = new PackProcesses(1, setup, entry);
    await expect(processes.build(request('store down'))).rejects.toMatchObject({
      code: 'store-unavailable',
      retryable: true,
    });
  });

  it('do not try for ever when a process ends before its first image', async () => {
    await using processes = new PackProcesses(1, setup, entry);
    await expect(processes.build(request('unstartable'))).rejects.toMatchObject({ code: 'internal' });
  });

  it('end with their owner, failing what was under way', async () => {
    const processes = new PackProcesses(1, setup, entry);
    const building = processes.build(request('a', 'b', 'c')).catch((error: unknown) => error);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await processes[Symbol.asyncDispose]();
    expect(await building).toMatchObject({ code: 'internal' });
  });

  it('tell the processor time of each image where it is asked for, also of one that is refused', async () => {
    await using folder = await temporaryFolder();
    const root = join(folder.path, 'photos');
    await writePhotos(root, 10);
    await using processes = new PackProcesses(1, {
      ...setup,
      works: { kind: 'folder', root: join(folder.path, 'works') },
      options: { maxImageBytes: 1e6, imagesInFlight: 4, maxInFlightBytes: 1e7 },
    });
    const of = {
      ...request('0000.jpg', '0009.jpg', 'missing.jpg'),
      source: { kind: 'folder', root },
    } as const;
    expect(await processes.build(of)).not.toHaveProperty('imageCpuMs');
    const { imageCpuMs, images, refused } = await processes.build({ ...of, measured: true });
    expect({ images, refused }).toEqual({ images: 1, refused: 2 });
    expect(imageCpuMs).toHaveLength(3);
    for (const ms of imageCpuMs ?? []) expect(ms).toBeGreaterThanOrEqual(0);
    expect(processes.used.images).toBe(6);
  });
});
