import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { loadManifest } from '#adapters/model-folder.ts';
import { packKey, partKey, planKey, rangeName, requestKey } from '#core/job-layout.ts';
import { type Plan, plannedStage } from '#core/plan.ts';
import type { DeadLetter } from '#functions/finalizing/dead-letters.ts';
import { jobState } from '#functions/finalizing/job-state.ts';
import { writeJson } from '#functions/json-object.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const DAY_MS = 24 * 3600 * 1000;

/** A job of one shard of two ranges, two images in each, whose shard message died. */
async function setUp(diedAt = new Date(), following: Plan['following'] = undefined) {
  const folder = await temporaryFolder();
  const works = new FolderStore(folder.path);
  const stage = plannedStage(await loadManifest('quality'));
  const submittedAt = new Date().toISOString();
  const source = { kind: 'prefix', bucket: 'photos', prefix: '' };
  const filter = { include: [], exclude: [], suffixes: [] };
  await writeJson(works, requestKey('job'), {
    schema: 1,
    job: 'job',
    source,
    filter,
    incremental: false,
    submittedAt,
  });
  const plan: Plan = {
    schema: 1,
    job: 'job',
    source: 's3://photos/',
    createdAt: submittedAt,
    stage,
    ...(following && { following }),
    bucket: 'photos',
    packSize: 2,
    shards: [{ shard: 0, refs: 4 }],
    images: 4,
    bytes: 4,
    carried: null,
    problems: [],
    problemCount: 0,
  };
  await writeJson(works, planKey('job'), plan);
  const bury = (queue: DeadLetter['queue'], message: object): Promise<void> =>
    writeJson(works, `dead/job/${queue}.json`, {
      schema: 1,
      queue,
      job: 'job',
      reason: 'it died',
      body: JSON.stringify(message),
      at: diedAt.toISOString(),
    } satisfies DeadLetter);
  await bury('shards', { v: 1, type: 'shard', job: 'job', shard: 0, remakes: 0 });
  const pack = (range: number) => ({ job: 'job', stage: stage.name, name: rangeName({ shard: 0, range }) });
  const progress = async () => {
    const state = await jobState('job', works);
    if (state.kind !== 'running') throw new Error(state.kind);
    const { done, givenUp, left, isOver } = state.progress;
    return { done, givenUp, left, isOver };
  };
  return { ...folder, works, bury, pack, progress };
}

describe('a job whose shard died', () => {
  it('is over when none of its packs is there', async () => {
    await using job = await setUp();
    expect(await job.progress()).toEqual({ done: 0, givenUp: 4, left: 0, isOver: true });
  });

  it('is not over while a pack is under way that the shard announced before', async () => {
    await using job = await setUp();
    await job.works.put(packKey(job.pack(1)), Buffer.from('a pack'));
    expect(await job.progress()).toMatchObject({ isOver: false });
    await job.works.put(partKey(job.pack(1)), Buffer.from('its part'));
    await job.works.delete([packKey(job.pack(1))]);
    expect(await job.progress()).toEqual({ done: 2, givenUp: 2, left: 0, isOver: true });
  });

  it('is not over while a pack is under way that another stage sees too, under whose name it is stored', async () => {
    const also = plannedStage(await loadManifest('quality'), 'also');
    await using job = await setUp(new Date(), [also]);
    await job.works.put(packKey(job.pack(1)), Buffer.from('a pack'));
    await job.works.put(partKey(job.pack(1)), Buffer.from('its part'));
    expect(await job.progress()).toMatchObject({ left: 0, isOver: false });
    await job.works.put(partKey({ ...job.pack(1), stage: 'also' }), Buffer.from('its part'));
    await job.works.delete([packKey(job.pack(1))]);
    expect(await job.progress()).toMatchObject({ left: 0, isOver: true });
  });

  it('waits neither for a pack that died itself nor for longer than packs are kept', async () => {
    await using job = await setUp();
    const pack = job.pack(1);
    await job.works.put(packKey(pack), Buffer.from('a pack'));
    const origin = { lane: 'bulk', bucket: 'photos', shard: 0, range: 1, remakes: 0 };
    await job.bury('bulk', { v: 1, type: 'pack', ...pack, origin, pack: { bytes: 6 } });
    expect(await job.progress()).toMatchObject({ isOver: true });

    await using older = await setUp(new Date(Date.now() - DAY_MS));
    await older.works.put(packKey(older.pack(1)), Buffer.from('a pack'));
    expect(await older.progress()).toMatchObject({ isOver: true });
  });
});
