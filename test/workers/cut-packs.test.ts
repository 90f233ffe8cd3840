import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { decoderVersion, preprocessTargets } from '#adapters/image/preprocess-image.ts';
import { loadManifest } from '#adapters/model-folder.ts';
import { StageSource } from '#core/cascade.ts';
import { RunConfig } from '#core/config.ts';
import { packKey, partKey } from '#core/job-layout.ts';
import type { FollowUpMessage, PackMessage } from '#core/messages.ts';
import { decodePack, type Pack } from '#core/pack.ts';
import { type Follower, plannedStage } from '#core/plan.ts';
import { buildPack } from '#functions/preprocessing/build-pack.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { cutPacks } from '#workers/cut-packs.ts';
import { RecycledMemory } from '#workers/recycled-memory.ts';

const FIRST = { job: 'job', stage: 'first', name: '000000-000' };
const NEXT = { job: 'job', stage: 'next', name: '000000-000.000' };
const images = { when: { measure: 'score', above: 0.5 } };
const manifest = await loadManifest('quality');
const follower: Follower = {
  ...plannedStage(manifest, 'next'),
  from: StageSource.parse({ stage: 'first', images }),
};

/** A pack of four photos, the second of which is none; of the others the first and the last are handed on. */
async function setUp() {
  const folder = await temporaryFolder();
  const source = new FolderStore(join(folder.path, 'photos'));
  const works = new FolderStore(join(folder.path, 'works'));
  for (let i = 0; i < 4; i++) {
    const noise = { type: 'gaussian', mean: 50 * i + 40, sigma: 30 } as const;
    const photo = sharp({ create: { width: 90 + i, height: 70, channels: 3, noise, background: '#000' } });
    await source.put(`${i}.png`, i === 1 ? Buffer.from('none') : await photo.png().toBuffer());
  }
  const { objects } = await source.list();
  const refs = objects.map(({ key, etag, bytes }) => ({ key, etag, bytes }));
  const { limits } = RunConfig.parse({});
  const build = async (id: typeof FIRST, of: typeof refs): Promise<Pack> => {
    const { preprocess, preprocessHash } = follower;
    await buildPack(
      { id, source: { kind: 'folder', root: folder.path }, refs: of, preprocess, preprocessHash },
      { maxImageBytes: 1e6, imagesInFlight: 1, maxInFlightBytes: 1e6 },
      {
        source,
        works,
        decoderVersion: decoderVersion(),
        preprocess: (bytes, targets, region) => preprocessTargets(bytes, targets, limits, region),
      },
    );
    return packAt(id);
  };
  const packAt = async (id: typeof FIRST): Promise<Pack> => decodePack((await works.get(packKey(id))).body);
  const whole = await build(FIRST, refs);
  const chosen = [refs[0], refs[3]].map((ref) => ({ ...(ref as (typeof refs)[0]), parent: ref?.key ?? '' }));
  const message: PackMessage = {
    v: 1,
    type: 'pack',
    ...FIRST,
    origin: { lane: 'bulk', bucket: 'photos', shard: 0, range: 0, remakes: 0 },
    pack: { bytes: 1 },
  };
  const asked: FollowUpMessage = {
    v: 1,
    type: 'follow-up',
    job: 'job',
    stage: 'next',
    parent: { stage: 'first', name: FIRST.name },
    shard: 0,
    remakes: 0,
  };
  const cut = (to: Follower = follower, of = chosen) =>
    cutPacks(
      [{ follower: to, refs: of, asked }],
      { message, preprocessHash: whole.header.preprocessHash, load: () => packAt(FIRST) },
      works,
      new RecycledMemory(),
    );
  return { ...folder, works, build, cut, packAt, chosen, asked };
}

/** What two makings of a pack have in common. */
const lasting = ({ header: { usage: _, ...header }, ...pack }: Pack) => ({
  ...pack,
  header: { ...header, items: header.items.map(({ preprocessMs: _, ...item }) => item) },
});

describe('what a part hands on to a stage that takes pictures in the same way', () => {
  it('is cut out of its pack, to the byte as it would be decoded anew', async () => {
    await using job = await setUp();
    const [announced] = await job.cut();
    expect(announced).toMatchObject({
      isNewPack: true,
      message: { type: 'pack', ...NEXT, origin: { bucket: 'photos', shard: 0, range: 0 } },
    });
    const cut = await job.packAt(NEXT);
    expect(cut.header.items.map(({ index, ref }) => [index, ref.key])).toEqual([
      [0, '0.png'],
      [1, '3.png'],
    ]);
    await job.works.delete([packKey(NEXT)]);
    expect(lasting(cut)).toEqual(lasting(await job.build(NEXT, job.chosen)));
  });

  it('is announced once more by whoever finds it cut, and not at all where its part is written', async () => {
    await using job = await setUp();
    await job.cut();
    expect(await job.cut()).toMatchObject([{ isNewPack: false, message: { type: 'pack', ...NEXT } }]);
    await job.works.put(partKey(NEXT), Buffer.from('part'));
    expect(await job.cut()).toEqual([]);
  });

  it.each([
    ['takes pictures in another way', { ...follower, preprocessHash: 'another' }],
    ['takes boxes', { ...follower, from: StageSource.parse({ stage: 'first', boxes: {} }) }],
  ])('is asked for where the stage %s', async (_, to) => {
    await using job = await setUp();
    expect(await job.cut(to)).toEqual([{ message: job.asked, isNewPack: false }]);
    expect(await job.works.head(packKey(NEXT))).toBeUndefined();
  });

  it('is asked for where the pack is gone, or holds another version of an image', async () => {
    await using job = await setUp();
    const asked = [{ message: job.asked, isNewPack: false }];
    const changed = job.chosen.map((ref) => ({ ...ref, etag: 'of another version' }));
    expect(await job.cut(follower, changed)).toEqual(asked);
    await job.works.delete([packKey(FIRST)]);
    expect(await job.cut()).toEqual(asked);
  });
});
