import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { MemoryQueue } from '#adapters/memory-queue.ts';
import { loadManifest } from '#adapters/model-folder.ts';
import { packIdText, packKey, partKey, shardKey } from '#core/job-layout.ts';
import type { PackMessage, ShardMessage } from '#core/messages.ts';
import { type Plan, plannedStage } from '#core/plan.ts';
import type { PackRequest } from '#functions/preprocessing/build-pack.ts';
import { preprocessShard } from '#functions/preprocessing/preprocess-shard.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const MESSAGE: ShardMessage = { v: 1, type: 'shard', job: 'job', shard: 0, remakes: 0 };

/** Five images in ranges of four; three stages see them: "a" and "b" take pictures alike, "other" in another way. */
async function setUp() {
  const folder = await temporaryFolder();
  const works = new FolderStore(folder.path);
  const packs = new MemoryQueue({ visibilityMs: 60_000, maxDeliveries: 3 });
  const manifest = await loadManifest('quality');
  const other = { ...manifest, preprocess: { ...manifest.preprocess, widthPx: 32 } };
  const plan: Plan = {
    schema: 1,
    job: 'job',
    source: 'a test',
    createdAt: new Date(0).toISOString(),
    stage: plannedStage(manifest, 'a'),
    following: [plannedStage(other, 'other'), plannedStage(manifest, 'b')],
    bucket: null,
    packSize: 4,
    shards: [{ shard: 0, refs: 5 }],
    images: 5,
    bytes: 5,
    carried: null,
    problems: [],
    problemCount: 0,
  };
  const refs = Array.from({ length: 5 }, (_, i) => ({ key: `${i}.jpg`, etag: '1', bytes: 1 }));
  await works.put(shardKey('job', 0), Buffer.from(JSON.stringify({ schema: 1, job: 'job', shard: 0, refs })));
  const built: string[][] = [];
  /** Counts how often images are read and which packs are made of them, each of a byte. */
  const build = async ({ id, refs, also = [] }: PackRequest) => {
    const ids = [id, ...also.map((target) => target.id)];
    built.push(ids.map(({ stage, name }) => `${stage}/${name}`));
    for (const one of ids) await works.put(packKey(one), Buffer.from('p'));
    const pack = { bytes: 1, images: refs.length, refused: 0 };
    return { ...pack, also: also.map(() => pack) };
  };
  const preprocess = async (message: ShardMessage): Promise<PackMessage[]> => {
    const ports = { works, packs, build, concurrency: 1, reserve: async () => ({ [Symbol.dispose]() {} }) };
    await preprocessShard(message, plan, ports, { source: { kind: 'folder', root: folder.path } });
    const leases = await packs.receive({ maxMessages: 10, waitMs: 0 });
    return leases.map(({ body }) => JSON.parse(body) as PackMessage);
  };
  const finish = (stage: string, name: string): Promise<unknown> =>
    works.put(partKey({ job: 'job', stage, name }), Buffer.from(''));
  return { ...folder, works, built, preprocess, finish };
}

const seen = (messages: readonly PackMessage[]) =>
  messages.map((message) => [packIdText(message), 'bytes' in message.pack ? message.pack.stages : 'inline']);

describe('preprocessing a shard that several stages see', () => {
  it('reads the images of a range once, and makes one pack for those that take pictures alike', async () => {
    await using shard = await setUp();
    const messages = await shard.preprocess({ ...MESSAGE, ranges: [1] });
    expect(shard.built).toEqual([['a/000000-001', 'other/000000-001']]);
    expect(seen(messages)).toEqual([
      ['job/a/000000-001', ['a', 'b']],
      ['job/b/000000-001', ['a', 'b']],
      ['job/other/000000-001', undefined],
    ]);
  });

  it('announces a pack that is there already, to those stages that have no part of it', async () => {
    await using shard = await setUp();
    await shard.preprocess(MESSAGE);
    await shard.finish('a', '000000-000');
    await shard.finish('other', '000000-000');
    shard.built.length = 0;
    const messages = await shard.preprocess({ ...MESSAGE, ranges: [0] });
    expect(shard.built).toEqual([]);
    expect(seen(messages)).toEqual([['job/b/000000-000', ['a', 'b']]]);
    await shard.finish('b', '000000-000');
    expect(await shard.preprocess({ ...MESSAGE, ranges: [0] })).toEqual([]);
  });

  it('makes a lost pack again for the stage that asks, and leaves those of other stages alone', async () => {
    await using shard = await setUp();
    await shard.preprocess(MESSAGE);
    await shard.finish('a', '000000-000');
    shard.built.length = 0;
    const messages = await shard.preprocess({ ...MESSAGE, ranges: [0], stage: 'b', remakes: 1 });
    expect(shard.built).toEqual([['a/000000-000']]);
    expect(seen(messages)).toEqual([['job/b/000000-000', ['a', 'b']]]);
  });

  it('makes only those packs that are not there', async () => {
    await using shard = await setUp();
    await shard.preprocess({ ...MESSAGE, ranges: [0] });
    await shard.works.delete([packKey({ job: 'job', stage: 'other', name: '000000-000' })]);
    shard.built.length = 0;
    await shard.finish('b', '000000-000');
    const messages = await shard.preprocess({ ...MESSAGE, ranges: [0] });
    expect(shard.built).toEqual([['other/000000-000']]);
    expect(seen(messages)).toEqual([
      ['job/a/000000-000', ['a', 'b']],
      ['job/other/000000-000', undefined],
    ]);
  });

  it('knows no stage that the plan does not have', async () => {
    await using shard = await setUp();
    await expect(shard.preprocess({ ...MESSAGE, stage: 'nobody' })).rejects.toMatchObject({
      code: 'message-malformed',
    });
  });
});
