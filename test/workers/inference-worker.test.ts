import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { MemoryQueue } from '#adapters/memory-queue.ts';
import { decodePart } from '#adapters/part-file.ts';
import type { AuditRecord } from '#core/audit-record.ts';
import { SluiceError } from '#core/error.ts';
import { packKey, partKey, quarantineKey } from '#core/job-layout.ts';
import type { PackMessage } from '#core/messages.ts';
import { ModelManifest } from '#core/model-manifest.ts';
import { decodePack } from '#core/pack.ts';
import {
  type Engine,
  type EngineBatch,
  type InputTensor,
  piecesOf,
  type RunOptions,
  type Tensor,
} from '#core/ports/engine.ts';
import type { GetOptions, StoredObject } from '#core/ports/object-store.ts';
import { preprocessHash } from '#core/preprocess-spec.ts';
import { packOf, putPack as putPackOf } from '#test/support/pack-file.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { InferenceWorker } from '#workers/inference-worker.ts';

const manifest = ModelManifest.parse({
  schema: 1,
  name: 'mean',
  description: '',
  license: '',
  source: '',
  file: 'mean.onnx',
  sha256: '0'.repeat(64),
  preprocess: {
    widthPx: 2,
    heightPx: 2,
    resize: { mode: 'squash' },
    kernel: 'linear',
    color: 'srgb',
    background: [0, 0, 0],
  },
  inputs: [{ name: 'images', from: 'pixels' }],
  outputs: [{ name: 'scores', decode: 'scores', labels: ['level'] }],
  policy: { rules: [{ check: 'light', when: { measure: 'level', above: 100 }, verdict: 'review' }] },
});

const putPack = (works: FolderStore, range: number, levels: readonly number[]): Promise<PackMessage> =>
  putPackOf(works, range, levels, preprocessHash(manifest.preprocess));

/** The level of an image on which the engine of {@link FirstByteEngine} is lost. */
const LOSES = 17;

/**
 * A model whose score is the first byte of an image; it fails on a batch with level 13 in it. What it gives back of a
 * batch's memory holds other values by then.
 */
class FirstByteEngine implements Engine {
  readonly provider = 'cpu';
  readonly inputs = [{ name: 'images', dtype: 'uint8', shape: [null, 2, 2, 3] }];
  readonly outputs = [{ name: 'scores', dtype: 'float32', shape: [null, 1] }];
  readonly batches: number[][] = [];
  answer = (levels: number[]): number[] => levels;

  async run({ images }: EngineBatch, { recycle }: RunOptions = {}): Promise<Record<string, Tensor>> {
    const pieces = piecesOf(images as InputTensor) as readonly Buffer[];
    const levels = pieces.flatMap((piece) =>
      Array.from({ length: piece.length / 12 }, (_, i) => Number(piece[i * 12])),
    );
    this.batches.push(levels);
    for (const piece of pieces) {
      piece.fill(99);
      recycle?.(piece.buffer as ArrayBuffer);
    }
    if (levels.includes(13)) throw new Error('unlucky');
    if (levels.includes(LOSES)) throw new SluiceError('engine-lost', 'it did not end');
    const scores = this.answer(levels);
    return { scores: { dtype: 'float32', shape: [scores.length, 1], data: Float32Array.from(scores) } };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is held.
  }
}

/** Runs a worker over the messages until the queue is empty, or the worker is over by itself. */
async function work(
  announce: (works: FolderStore) => Promise<(PackMessage | string)[]>,
  engine = new FirstByteEngine(),
  batchSize = 4,
  act?: (records: readonly AuditRecord[]) => Promise<void>,
) {
  const folder = await temporaryFolder();
  const works = new FolderStore(folder.path);
  const packs = new MemoryQueue({ visibilityMs: 10_000, maxDeliveries: 3 });
  const messages = await announce(works);
  await packs.send(
    messages.map((message) => (typeof message === 'string' ? message : JSON.stringify(message))),
  );
  const failures: string[] = [];
  const remade: PackMessage[] = [];
  const givenUp: [stage: string, reason: string][] = [];
  const stop = new AbortController();
  const worker = new InferenceWorker(
    {
      manifest,
      softwareVersion: 's',
      batchSize,
      maxWaitMs: 0,
      prefetchPacks: 8,
    },
    {
      works,
      bulk: packs,
      engine,
      policyOf: async () => manifest.policy,
      remake: async (message) => void remade.push(message),
      ...(act && { act: (_, records) => act(records) }),
      onFailedDelivery: (_, reason) => failures.push(reason),
      onStageGivenUp: (stage, reason) => givenUp.push([stage, reason]),
    },
  );
  let over = false;
  const running = worker.run(stop.signal).then(
    () => undefined,
    (error: unknown) => {
      over = true;
      return error;
    },
  );
  for (let depth = { waiting: 1, leased: 0 }; depth.waiting + depth.leased > 0 && !over; ) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    depth = await packs.depth();
  }
  stop.abort();
  const died = await running;
  const part = async (range: number) => decodePart((await works.get(partKey(packOf(range)))).body);
  return { ...folder, works, packs, engine, failures, remade, givenUp, died, part };
}

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

  it('takes a pack that travels inside its message', async () => {
    await using done = await work(async (works) => {
      const message = await putPack(works, 0, [7]);
      const { body } = await works.get(packKey(message));
      await works.delete([packKey(message)]);
      return [{ ...message, pack: { inline: body.toString('base64') } }];
    });
    expect((await done.part(0))[0]?.scores['level']).toBe(7);
  });

  it('buries a pack that was made for another model', async () => {
    await using done = await work(async (works) => [await putPackOf(works, 0, [7], 'of another spec')]);
    expect(done.packs.deadLetters).toMatchObject([{ reason: expect.stringContaining('of another spec') }]);
  });

  it('keeps the first part that was written under a key', async () => {
    await using done = await work(async (works) => {
      const message = await putPack(works, 0, [7]);
      await works.put(partKey(message), Buffer.from('first'));
      return [message];
    });
    expect((await done.works.get(partKey(packOf(0)))).body.toString()).toBe('first');
    expect(done.packs.deadLetters).toEqual([]);
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

  it('acknowledges a second delivery of a pack whose part is written', async () => {
    await using done = await work(async (works) => {
      const message = await putPack(works, 0, [7]);
      await works.put(partKey(message), Buffer.from('the part of the first delivery'));
      await works.delete([packKey(message)]);
      return [message];
    });
    expect(done.packs.deadLetters).toEqual([]);
    expect((await done.works.get(partKey(packOf(0)))).body.toString()).toMatch(/first delivery/);
  });

  it('does what an earlier delivery left undone, from the part, when the pack is gone', async () => {
    const acted: string[][] = [];
    await using done = await work(
      async (works) => {
        const message = await putPack(works, 0, [5, 200]);
        const { body } = await works.get(packKey(message));
        await using earlier = await work(async (other) => {
          await other.put(packKey(message), body);
          return [message];
        });
        await works.put(partKey(message), (await earlier.works.get(partKey(message))).body);
        await works.delete([packKey(message)]);
        return [{ ...message, redriven: true }, message];
      },
      new FirstByteEngine(),
      4,
      async (records) => void acted.push(records.map(({ key, verdict }) => `${key} ${verdict}`)),
    );
    // A doubled message that meets a part leaves it to the other one.
    expect(acted).toEqual([['0-0 pass', '0-1 review']]);
    expect(done.packs.deadLetters).toEqual([]);
  });

  it('acts once more on a part that an earlier delivery wrote, when acting failed', async () => {
    let tries = 0;
    await using done = await work(
      async (works) => [await putPack(works, 0, [200])],
      new FirstByteEngine(),
      4,
      async () => {
        if (++tries === 1) throw new Error('no permission to tag');
      },
    );
    expect(tries).toBe(2);
    expect(done.failures).toEqual(['no permission to tag']);
  });

  it('asks again for a pack that is gone', async () => {
    await using done = await work(async (works) => {
      const message = await putPack(works, 0, [7]);
      await works.delete([packKey(message)]);
      return [message];
    });
    expect(done.remade).toMatchObject([{ name: packOf(0).name }]);
    expect(done.packs.deadLetters).toEqual([]);
  });

  it('asks again for a damaged pack, but not for ever', async () => {
    await using done = await work(async (works) => {
      const message = await putPack(works, 0, [7]);
      const { body } = await works.get(packKey(message));
      body[body.length - 1] = 99;
      await works.put(packKey(message), body);
      const lastTime = { ...message, origin: { ...message.origin, remakes: 3 } as PackMessage['origin'] };
      return [message, lastTime];
    });
    expect(done.remade).toHaveLength(1);
    expect(done.packs.deadLetters).toMatchObject([{ reason: expect.stringContaining('checksum') }]);
  });

  it('is not stopped by a message that is none of its own', async () => {
    await using done = await work(async (works) => ['{"v":9}', 'not json', await putPack(works, 0, [7])]);
    expect(await done.part(0)).toHaveLength(1);
    expect(done.packs.deadLetters).toHaveLength(2);
  });

  it('takes a pack without any images: all were refused', async () => {
    await using done = await work(async (works) => [await putPack(works, 0, [])]);
    expect(await done.part(0)).toEqual([]);
    expect(done.engine.batches).toEqual([]);
  });

  describe('that is told to stop', () => {
    /** Starts it over one pack, stops it once `begun` resolves, and says how many packs it left unfinished. */
    async function stopped(
      works: FolderStore,
      engine: Engine,
      begun: Promise<unknown>,
      packs: MemoryQueue,
    ): Promise<number> {
      await packs.send([JSON.stringify(await putPack(works, 0, [7]))]);
      const stop = new AbortController();
      const worker = new InferenceWorker(
        { manifest, softwareVersion: 's', batchSize: 4, maxWaitMs: 0, prefetchPacks: 2, drainLimitMs: 20 },
        { works, bulk: packs, engine, policyOf: async () => manifest.policy },
      );
      const running = worker.run(stop.signal);
      await begun;
      stop.abort();
      return running;
    }

    it('does not wait for a store that stalls', async () => {
      await using folder = await temporaryFolder();
      const begun = new AbortController();
      class StallingStore extends FolderStore {
        override get(_key: string, options: GetOptions = {}): Promise<StoredObject> {
          begun.abort();
          return new Promise((_, reject) => {
            options.signal?.addEventListener('abort', () => reject(options.signal?.reason), { once: true });
          });
        }
      }
      const packs = new MemoryQueue({ visibilityMs: 60_000, maxDeliveries: 3 });
      const works = new StallingStore(folder.path);
      expect(await stopped(works, new FirstByteEngine(), once(begun.signal, 'abort'), packs)).toBe(0);
      expect(await packs.depth()).toEqual({ waiting: 1, leased: 0 });
    });

    it('gives back what the model does not finish within the limit', async () => {
      await using folder = await temporaryFolder();
      const begun = new AbortController();
      const engine = new FirstByteEngine();
      engine.run = () => {
        begun.abort();
        return new Promise(() => undefined);
      };
      const packs = new MemoryQueue({ visibilityMs: 60_000, maxDeliveries: 3 });
      expect(await stopped(new FolderStore(folder.path), engine, once(begun.signal, 'abort'), packs)).toBe(1);
      expect(await packs.depth()).toEqual({ waiting: 1, leased: 0 });
    });
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
