import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { MemoryQueue } from '#adapters/memory-queue.ts';
import type { Engine } from '#core/ports/engine.ts';
import type { GetOptions, StoredObject } from '#core/ports/object-store.ts';
import { FirstByteEngine, manifest, putPack } from '#test/support/first-byte-worker.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { InferenceWorker } from '#workers/inference-worker.ts';

describe('a worker that is told to stop', () => {
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
