import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { MemoryQueue } from '#adapters/memory-queue.ts';
import { packKey } from '#core/job-layout.ts';
import { FirstByteEngine, manifest, putPack, work } from '#test/support/first-byte-worker.ts';
import { packOf, putPack as putPackOf } from '#test/support/pack-file.ts';
import { InferenceWorker } from '#workers/inference-worker.ts';

describe('the inference worker', () => {
  it('writes a part for a pack, acknowledges it and deletes the pack', async () => {
    await using done = await work(async (works) => [await putPack(works, 0, [5, 200])]);
    const records = await done.part(0);
    expect(
      records.map(({ key, scores, verdict, checks }) => [key, scores['level'], verdict, checks]),
    ).toEqual([
      ['0-0', 5, 'pass', []],
      ['0-1', 200, 'review', ['light']],
    ]);
    expect(await done.works.head(packKey(packOf(0)))).toBeUndefined();
    expect(done.packs.deadLetters).toEqual([]);
  });

  it('merges small packs up to the batch size, and gives each its own scores back', async () => {
    await using done = await work(async (works) =>
      Promise.all([[1, 2], [3], [4, 5, 6]].map((levels, range) => putPack(works, range, levels))),
    );
    expect(Math.max(...done.engine.batches.map((batch) => batch.length))).toBeLessThanOrEqual(4);
    expect(done.engine.batches.flat().sort()).toEqual([1, 2, 3, 4, 5, 6]);
    for (const [range, levels] of [[1, 2], [3], [4, 5, 6]].entries()) {
      expect((await done.part(range)).map((record) => record.scores['level'])).toEqual(levels);
    }
  });

  it('takes a pack that travels inside its message', async () => {
    await using done = await work(async (works) => {
      const message = await putPack(works, 0, [7]);
      const { body } = await works.get(packKey(message));
      await works.delete([packKey(message)]);
      return [{ ...message, pack: { inline: body.toString('base64') } }];
    });
    expect((await done.part(0))[0]?.scores['level']).toBe(7);
  });

  it('takes a pack without any images: all were refused', async () => {
    await using done = await work(async (works) => [await putPack(works, 0, [])]);
    expect(await done.part(0)).toEqual([]);
    expect(done.engine.batches).toEqual([]);
  });

  it('buries a pack that was made for another model', async () => {
    await using done = await work(async (works) => [await putPackOf(works, 0, [7], 'of another spec')]);
    expect(done.packs.deadLetters).toMatchObject([{ reason: expect.stringContaining('of another spec') }]);
  });

  it('is not stopped by a message that is none of its own', async () => {
    await using done = await work(async (works) => ['{"v":9}', 'not json', await putPack(works, 0, [7])]);
    expect(await done.part(0)).toHaveLength(1);
    expect(done.packs.deadLetters).toHaveLength(2);
  });

  it.each([
    ['not a number', [Number.NaN], /score "level" of image 0/],
    ['of another length', [1, 2], /expected output "scores" as float32 \[1, 1\]/],
  ])('never makes a verdict of scores that are %s', async (_, scores, reason) => {
    const engine = new FirstByteEngine();
    engine.answer = () => scores;
    await using done = await work(async (works) => [await putPack(works, 0, [1])], engine);
    expect(done.packs.deadLetters).toHaveLength(1);
    expect(done.failures[0]).toMatch(reason);
  });

  it('refuses a manifest that names other tensors than the model has', () => {
    const other = { ...manifest, inputs: [{ name: 'pixels', from: 'pixels' as const }] };
    const options = { softwareVersion: 's', batchSize: 4, maxWaitMs: 0, prefetchPacks: 1 };
    const ports = {
      works: new FolderStore('/nowhere'),
      bulk: new MemoryQueue({ visibilityMs: 1, maxDeliveries: 1 }),
      engine: new FirstByteEngine(),
      policyOf: async () => manifest.policy,
    };
    expect(() => new InferenceWorker({ ...options, manifest: other }, ports)).toThrow(/names pixels/);
  });
});
