import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { MemoryQueue } from '#adapters/memory-queue.ts';
import { decodePart } from '#adapters/parquet-audit.ts';
import { packKey, partKey } from '#core/job-layout.ts';
import type { PackMessage } from '#core/messages.ts';
import { ModelManifest } from '#core/model-manifest.ts';
import type { Engine, EngineBatch, Tensor } from '#core/ports/engine.ts';
import { JOB, putPack } from '#test/support/pack-file.ts';
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

/** A model whose score is the first byte of an image; it fails on a batch with level 13 in it. */
class FirstByteEngine implements Engine {
  readonly provider = 'cpu';
  readonly inputs = [{ name: 'images', dtype: 'uint8', shape: [null, 2, 2, 3] }];
  readonly outputs = [{ name: 'scores', dtype: 'float32', shape: [null, 1] }];
  readonly batches: number[][] = [];
  answer = (levels: number[]): number[] => levels;

  async run({ images }: EngineBatch): Promise<Record<string, Tensor>> {
    const { data, shape } = images as Tensor;
    const levels = Array.from({ length: shape[0] as number }, (_, i) => Number(data[i * 12]));
    this.batches.push(levels);
    if (levels.includes(13)) throw new Error('unlucky');
    const scores = this.answer(levels);
    return { scores: { dtype: 'float32', shape: [scores.length, 1], data: Float32Array.from(scores) } };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is held.
  }
}

/** Runs a worker over the messages until the queue is empty. */
async function work(
  announce: (works: FolderStore) => Promise<(PackMessage | string)[]>,
  engine = new FirstByteEngine(),
  batchSize = 4,
) {
  const folder = await temporaryFolder();
  const works = new FolderStore(folder.path);
  const packs = new MemoryQueue({ visibilityMs: 10_000, maxDeliveries: 3 });
  const messages = await announce(works);
  await packs.send(
    messages.map((message) => (typeof message === 'string' ? message : JSON.stringify(message))),
  );
  const failures: string[] = [];
  const stop = new AbortController();
  const worker = new InferenceWorker(
    {
      manifest,
      policy: manifest.policy,
      softwareVersion: 's',
      batchSize,
      prefetchPacks: 8,
      visibilityMs: 10_000,
    },
    { works, packs, engine, onFailedDelivery: (_, reason) => failures.push(reason) },
  );
  const running = worker.run(stop.signal);
  for (let depth = { waiting: 1, leased: 0 }; depth.waiting + depth.leased > 0; ) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    depth = await packs.depth();
  }
  stop.abort();
  await running;
  const part = async (range: number) =>
    decodePart((await works.get(partKey({ ...JOB, range }))).body, ['level']);
  return { ...folder, works, packs, engine, failures, part };
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
    expect(await done.works.head(packKey({ ...JOB, range: 0 }))).toBeUndefined();
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

  it('gives up a pack that the model fails on, and no other', async () => {
    await using done = await work(async (works) =>
      Promise.all([[1], [13], [2]].map((levels, range) => putPack(works, range, levels))),
    );
    expect((await done.part(0))[0]?.scores['level']).toBe(1);
    expect((await done.part(2))[0]?.scores['level']).toBe(2);
    expect(done.packs.deadLetters.map((body) => (JSON.parse(body) as PackMessage).range)).toEqual([1]);
    expect(done.failures).toContain('unlucky');
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
    expect((await done.works.get(partKey({ ...JOB, range: 0 }))).body.toString()).toMatch(/first delivery/);
  });

  it('drops a damaged pack, so that it is made again', async () => {
    await using done = await work(async (works) => {
      const message = await putPack(works, 0, [7]);
      const { body } = await works.get(packKey(message));
      body[body.length - 1] = 99;
      await works.put(packKey(message), body);
      return [message];
    });
    expect(done.packs.deadLetters).toHaveLength(1);
    expect(done.failures[0]).toMatch(/checksum/);
    expect(await done.works.head(packKey({ ...JOB, range: 0 }))).toBeUndefined();
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

  it('refuses a manifest that names other tensors than the model has', () => {
    const other = { ...manifest, inputs: [{ name: 'pixels', from: 'pixels' as const }] };
    const options = {
      policy: manifest.policy,
      softwareVersion: 's',
      batchSize: 4,
      prefetchPacks: 1,
      visibilityMs: 1000,
    };
    const ports = {
      works: new FolderStore('/nowhere'),
      packs: new MemoryQueue({ visibilityMs: 1, maxDeliveries: 1 }),
      engine: new FirstByteEngine(),
    };
    expect(() => new InferenceWorker({ ...options, manifest: other }, ports)).toThrow(/names pixels/);
  });
});
