import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { MemoryQueue } from '#adapters/memory-queue.ts';
import { SluiceError } from '#core/error.ts';
import { packIdText, packKey, partKey, rangeName } from '#core/job-layout.ts';
import { decodePack, encodePack } from '#core/pack.ts';
import type { EngineBatch, RunOptions, Tensor } from '#core/ports/engine.ts';
import type { GetOptions, StoredObject } from '#core/ports/object-store.ts';
import { FirstByteEngine, manifest, putPack } from '#test/support/first-byte-worker.ts';
import { packOf } from '#test/support/pack-file.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { InferenceWorker } from '#workers/inference-worker.ts';

const PREFETCH_PACKS = 2;

/** Notes which packs were read, and which parts were written. */
class NotingStore extends FolderStore {
  readonly read: string[] = [];
  readonly written: string[] = [];

  override async get(key: string, options: GetOptions = {}): Promise<StoredObject> {
    if (key.startsWith('packs/')) this.read.push(key);
    return super.get(key, options);
  }

  override async put(...args: Parameters<FolderStore['put']>): ReturnType<FolderStore['put']> {
    const outcome = await super.put(...args);
    if (args[0].startsWith('parts/')) this.written.push(args[0]);
    return outcome;
  }
}

/** Puts a pack of one image of a stage, and gives its message. */
async function packOfStage(works: FolderStore, stage: string, range: number): Promise<string> {
  const message = await putPack(works, range, [range]);
  const id = { ...packOf(range, stage), name: rangeName({ shard: 0, range }) };
  const pack = decodePack((await works.get(packKey(message))).body);
  const { header, body } = encodePack({ ...pack, header: { ...pack.header, pack: packIdText(id) } });
  await works.delete([packKey(message)]);
  await works.put(packKey(id), [header, body]);
  return JSON.stringify({ ...message, ...id, pack: { bytes: header.length + body.length } });
}

/** An engine that is lost so many times, and whose runs after that end only when it is told so. */
class HangingEngine extends FirstByteEngine {
  readonly #released = new AbortController();
  readonly #losses: number;
  runs = 0;

  constructor(losses = 0) {
    super();
    this.#losses = losses;
  }

  release(): void {
    this.#released.abort();
  }

  override async run(batch: EngineBatch, options?: RunOptions): Promise<Record<string, Tensor>> {
    if (this.runs++ < this.#losses) throw new SluiceError('engine-lost', 'it did not end');
    if (!this.#released.signal.aborted) await once(this.#released.signal, 'abort');
    return super.run(batch, options);
  }
}

/** Counts the messages that were sent. */
class CountingQueue extends MemoryQueue {
  sent = 0;

  override send(...args: Parameters<MemoryQueue['send']>): Promise<void> {
    this.sent += args[0].length;
    return super.send(...args);
  }
}

/** A worker with a stage that hangs and one that is well, over messages of these stages, in this order. */
async function start(order: readonly ('hangs' | 'well')[], engine: HangingEngine) {
  const folder = await temporaryFolder();
  const works = new NotingStore(folder.path);
  const bulk = new CountingQueue({ visibilityMs: 60_000, maxDeliveries: 2 });
  for (const [range, stage] of order.entries()) await bulk.send([await packOfStage(works, stage, range)]);
  works.read.length = 0;
  const worker = new InferenceWorker(
    {
      ...{ manifest, stage: 'hangs', softwareVersion: 's' },
      ...{ batchSize: 1, maxWaitMs: 0, prefetchPacks: PREFETCH_PACKS },
    },
    {
      ...{ works, bulk, engine, policyOf: async () => manifest.policy },
      following: [{ stage: 'well', manifest, engine: new FirstByteEngine() }],
    },
  );
  const stop = new AbortController();
  const running = worker.run(stop.signal);
  return {
    works,
    bulk,
    partsOf: (stage: string) => works.written.filter((key) => key.includes(`/${stage}/`)),
    keysOf: (stage: string) =>
      order.flatMap((own, range) => (own === stage ? [partKey(packOf(range, own))] : [])),
    async [Symbol.asyncDispose]() {
      stop.abort();
      engine.release();
      await running;
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Waits for what comes at some time, or fails with the test. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(5);
}

describe('a stage whose model hangs', () => {
  it('keeps no other stage from its parts while it hangs', async () => {
    const engine = new HangingEngine();
    const order = Array.from({ length: 12 }, (_, i) => (i % 4 === 0 ? 'hangs' : 'well') as 'hangs' | 'well');
    await using job = await start(order, engine);
    await until(() => job.partsOf('well').length === job.keysOf('well').length);
    expect(engine.runs).toBe(1);
    expect(job.partsOf('hangs')).toEqual([]);
    engine.release();
    await until(() => job.partsOf('hangs').length === job.keysOf('hangs').length);
  });

  it('keeps no other stage from packs that come after any number of its own, once it has lost its engine', async () => {
    const order = [...Array<'hangs'>(50).fill('hangs'), ...Array<'well'>(8).fill('well')];
    const engine = new HangingEngine(1);
    await using job = await start(order, engine);
    await until(() => job.partsOf('well').length === job.keysOf('well').length);
    expect(job.partsOf('hangs')).toEqual([]);
    // In memory are what the engine has, loaded twice, and what was fetched beforehand; the others are messages.
    const read = job.works.read.filter((key) => key.includes('/hangs/'));
    expect(new Set(read).size).toBeLessThanOrEqual(1 + PREFETCH_PACKS);
  });

  it('leaves what was held for it to other workers once it has its engine back, and loses nothing', async () => {
    const order = [...Array<'hangs'>(30).fill('hangs'), 'well' as const];
    const engine = new HangingEngine(1);
    await using job = await start(order, engine);
    await until(() => job.partsOf('well').length === 1);
    expect(job.bulk.sent).toBe(order.length);
    engine.release();
    await until(() => job.partsOf('hangs').length === 30);
    expect(job.bulk.sent).toBeGreaterThan(order.length + 20);
    expect(job.bulk.deadLetters).toEqual([]);
  });

  it('gives all its packs back at once when the worker stops, those too of which it holds nothing but the message', async () => {
    const engine = new HangingEngine(1);
    const order = [...Array<'hangs'>(20).fill('hangs'), 'well' as const];
    const job = await start(order, engine);
    await until(() => job.partsOf('well').length === 1);
    await job[Symbol.asyncDispose]();
    const finished = job.partsOf('hangs').length;
    expect(finished).toBeGreaterThan(0);
    expect(await job.bulk.depth()).toEqual({ waiting: 20 - finished, leased: 0 });
  });
});
