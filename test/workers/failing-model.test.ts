import { describe, expect, it } from 'vitest';
import { SluiceError } from '#core/error.ts';
import { quarantineKey } from '#core/job-layout.ts';
import { decodePack } from '#core/pack.ts';
import { FirstByteEngine, LOSES, putPack, work } from '#test/support/first-byte-worker.ts';
import { packOf } from '#test/support/pack-file.ts';

describe('a worker whose model fails', () => {
  it('finds the one image that the model fails on, keeps its pixels, and gives all others their scores', async () => {
    await using done = await work(
      async (works) =>
        Promise.all([[1], [5, 6, 13, 7, 8], [2]].map((levels, range) => putPack(works, range, levels))),
      new FirstByteEngine(),
      8,
    );
    expect((await done.part(0))[0]?.scores['level']).toBe(1);
    expect((await done.part(2))[0]?.scores['level']).toBe(2);
    const records = await done.part(1);
    expect(records.map(({ state, errorCode, scores }) => [state, errorCode, scores['level']])).toEqual([
      ['audited', null, 5],
      ['audited', null, 6],
      ['failed', 'engine-failed', undefined],
      ['audited', null, 7],
      ['audited', null, 8],
    ]);
    expect(records[2]?.errorDetail).toBe('unlucky');
    const kept = decodePack((await done.works.get(quarantineKey(packOf(1), 2))).body);
    expect([...kept.images]).toEqual(Array(12).fill(13));
    expect(done.packs.deadLetters).toEqual([]);
  });

  it('looks for images that cost the engine its process one by one: each such run takes the whole time limit', async () => {
    await using done = await work(async (works) => [
      await putPack(works, 0, [5, 6, 7, LOSES, 8, 9, LOSES, 10]),
    ]);
    const records = await done.part(0);
    expect(records.map(({ scores, errorCode }) => scores['level'] ?? errorCode)).toEqual([
      ...[5, 6, 7, 'engine-failed', 8, 9, 'engine-failed', 10],
    ]);
    expect(records[3]?.errorDetail).toBe('it did not end');
    expect(done.engine.batches.filter((levels) => levels.includes(LOSES))).toHaveLength(3);
  });

  it('tries a pack once of which too many images cost the engine its process', async () => {
    const levels = Array<number>(12).fill(LOSES);
    await using done = await work(async (works) => [await putPack(works, 0, levels)]);
    expect(done.packs.deadLetters).toMatchObject([{ reason: 'it did not end' }]);
    expect(done.engine.batches).toHaveLength(10);
  });

  it('tells once that a model is given up, and fails its packs with that reason', async () => {
    const engine = new FirstByteEngine();
    engine.answer = () => {
      throw new SluiceError('engine-given-up', 'lost too often');
    };
    await using done = await work(
      async (works) => Promise.all([[1], [2], [3]].map((levels, range) => putPack(works, range, levels))),
      engine,
      1,
    );
    expect(done.givenUp).toEqual([['mean', 'lost too often']]);
    expect(done.packs.deadLetters.map(({ reason }) => reason)).toEqual(Array(3).fill('lost too often'));
  });

  it('gives back what an engine died of, and says why', async () => {
    const engine = new FirstByteEngine();
    engine.answer = () => {
      throw new SluiceError('engine-unavailable', 'the engine died');
    };
    await using done = await work(async (works) => [await putPack(works, 0, [1])], engine);
    expect(done.died).toMatchObject({ code: 'engine-unavailable' });
    expect(done.failures).toEqual(['the engine died']);
    expect(await done.packs.depth()).toEqual({ waiting: 1, leased: 0 });
  });

  it('gives up packs, and makes no rows, when the model fails on everything', async () => {
    const engine = new FirstByteEngine();
    engine.answer = () => {
      throw new Error('out of memory');
    };
    await using done = await work(async (works) => [await putPack(works, 0, [1, 2])], engine);
    expect(done.packs.deadLetters).toMatchObject([{ reason: 'out of memory' }]);
    await expect(done.part(0)).rejects.toMatchObject({ code: 'object-missing' });
  });
});
