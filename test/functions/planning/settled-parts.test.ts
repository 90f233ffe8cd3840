import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { loadManifest } from '#adapters/model-folder.ts';
import { followUpsKey, partKey, rangeName } from '#core/job-layout.ts';
import { type ExpectedPack, plannedStage } from '#core/plan.ts';
import { type DeadLetter, GivenUp } from '#functions/finalizing/dead-letters.ts';
import { writeJson } from '#functions/json-object.ts';
import { settledParts } from '#functions/planning/settled-parts.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const FIRST = rangeName({ shard: 0, range: 0 });
const RANGE: ExpectedPack = {
  pack: { job: 'job', stage: 'faces', name: FIRST },
  shard: 0,
  range: 0,
  refs: 4,
};
const part = (stage: string, name: string): string => partKey({ job: 'job', stage, name });
const FACES = part('faces', FIRST);
const CROPS = ['000', '001'].map((range) => part('crops', `${FIRST}.${range}`));
const DEEPEST = part('deepest', `${FIRST}.000.000`);

/** Six crops of the range, packs of four of them; one of the first four goes on to the last stage. */
async function setUp({ others = [] as string[] } = {}) {
  const folder = await temporaryFolder();
  const works = new FolderStore(folder.path);
  const manifest = await loadManifest('quality');
  const boxes = { minScore: 0, margin: 0 };
  const following = [
    ...others.map((name) => plannedStage(manifest, name)),
    { ...plannedStage(manifest, 'crops'), from: { stage: 'faces', boxes } },
    { ...plannedStage(manifest, 'deepest'), from: { stage: 'crops', boxes } },
  ];
  const handOn = async (stage: string, parent: string, images: number): Promise<void> => {
    const region = { x: 0, y: 0, width: 8, height: 8 };
    const refs = Array.from({ length: images }, (_, i) => ({ key: `${i}.jpg`, etag: '1', bytes: 9, region }));
    await writeJson(works, followUpsKey('job', stage, parent), {
      schema: 1,
      job: 'job',
      stage,
      parent,
      refs,
    });
  };
  await handOn('crops', FIRST, 6);
  await handOn('deepest', `${FIRST}.000`, 1);
  await handOn('deepest', `${FIRST}.001`, 0);
  const settled = async (...parts: string[]): Promise<string[] | undefined> => {
    const givenUp = await GivenUp.of('job', works);
    const plan = { job: 'job', packSize: 4, following };
    return settledParts(plan, RANGE, { parts: new Set(parts), givenUp, works });
  };
  const giveUp = async (message: object): Promise<void> => {
    const body = JSON.stringify(message);
    const at = new Date().toISOString();
    const letter: DeadLetter = { schema: 1, queue: 'shards', job: 'job', reason: 'it died', body, at };
    await writeJson(works, 'dead/job/letter.json', letter);
  };
  return { ...folder, settled, giveUp };
}

describe('a range of a cascade', () => {
  it('is settled once nothing that follows on it is still to come, at any stage', async () => {
    await using job = await setUp();
    expect(await job.settled()).toBeUndefined();
    expect(await job.settled(FACES)).toBeUndefined();
    expect(await job.settled(FACES, ...CROPS)).toBeUndefined();
    expect(await job.settled(FACES, CROPS[0] as string, DEEPEST)).toBeUndefined();
    const all = [FACES, ...CROPS, DEEPEST];
    expect((await job.settled(...all, part('crops', 'of another range')))?.sort()).toEqual(all.sort());
  });

  it('waits for every stage that sees all images', async () => {
    await using job = await setUp({ others: ['content'] });
    const all = [FACES, ...CROPS, DEEPEST];
    expect(await job.settled(...all)).toBeUndefined();
    expect(await job.settled(part('content', FIRST))).toBeUndefined();
    all.push(part('content', FIRST));
    expect((await job.settled(...all))?.sort()).toEqual(all.sort());
  });

  it('waits for nothing that was given up, nor for what would have followed on it', async () => {
    await using job = await setUp();
    const message = { v: 1, type: 'follow-up', job: 'job', stage: 'crops', shard: 0 };
    const { name, stage } = RANGE.pack;
    await job.giveUp({ ...message, parent: { name, stage }, ranges: [0], remakes: 0 });
    expect(await job.settled(FACES)).toBeUndefined();
    expect(await job.settled(FACES, CROPS[1] as string)).toEqual([FACES, CROPS[1]]);
  });

  it('was given up at one stage only where a pack was asked for again for that stage', async () => {
    await using job = await setUp({ others: ['content'] });
    const message = { v: 1, type: 'shard', job: 'job', shard: 0, ranges: [0], remakes: 3 };
    await job.giveUp({ ...message, stage: 'content' });
    expect(await job.settled()).toBeUndefined();
    const all = [FACES, ...CROPS, DEEPEST];
    expect((await job.settled(...all))?.sort()).toEqual(all.sort());
    await job.giveUp(message);
    expect(await job.settled()).toEqual([]);
  });
});
