import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { packKey } from '#core/job-layout.ts';
import { decodePack } from '#core/pack.ts';
import type { StoreLocation } from '#core/store-location.ts';
import { packOf, putPack } from '#test/support/pack-file.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { FetchThreads } from '#workers/fetch-threads.ts';
import { RecycledMemory } from '#workers/recycled-memory.ts';

async function start() {
  const folder = await temporaryFolder();
  const store = new FolderStore(folder.path);
  const memory = new RecycledMemory();
  const threads = new FetchThreads({ kind: 'folder', root: folder.path }, 2, memory);
  return {
    store,
    memory,
    threads,
    [Symbol.asyncDispose]: async () => {
      await threads[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

describe('threads that read packs', () => {
  it('read many at a time, each checked, into memory that goes round', async () => {
    await using reading = await start();
    const { store, threads, memory } = reading;
    const messages = await Promise.all(
      Array.from({ length: 12 }, (_, range) => putPack(store, range, [range, 100 + range], 'p')),
    );
    const read = (range: number) => {
      const { pack } = messages[range]!;
      return threads.read(packKey(packOf(range)), 'bytes' in pack ? pack.bytes : 0);
    };
    // What comes back from one turn is read into in the next.
    for (let turn = 0; turn < 3; turn++) {
      const files = await Promise.all(messages.map((_, range) => read(range)));
      for (const [range, { file, checksum }] of files.entries()) {
        const pack = decodePack(file, checksum);
        expect([pack.images[0], pack.images[12]]).toEqual([range, 100 + range]);
        memory.give(file.buffer as ArrayBuffer);
      }
    }
  });

  it('tell what is damaged, missing or too large as the store does', async () => {
    await using reading = await start();
    const { store, threads } = reading;
    const { pack } = await putPack(store, 0, [1], 'p');
    const key = packKey(packOf(0));
    const bytes = 'bytes' in pack ? pack.bytes : 0;
    await expect(threads.read('packs/none', bytes)).rejects.toMatchObject({ code: 'object-missing' });
    await expect(threads.read(key, Math.floor(bytes / 3))).rejects.toMatchObject({
      code: 'object-too-large',
    });
    const { body } = await store.get(key);
    await store.put(key, Buffer.from(body.map((byte, i) => (i === body.length - 1 ? byte ^ 1 : byte))));
    const { file, checksum } = await threads.read(key, bytes);
    expect(() => decodePack(file, checksum)).toThrow(/checksum/);
  });

  it('answer whoever asks, also after they have died', async () => {
    const nowhere = undefined as unknown as StoreLocation;
    await using threads = new FetchThreads(nowhere, 1, new RecycledMemory());
    for (let ask = 0; ask < 3; ask++) {
      await expect(threads.read('packs/any', 100)).rejects.toMatchObject({
        message: expect.stringContaining('ended'),
        retryable: true,
      });
    }
  });

  it('give a reading up when they are told to', async () => {
    await using reading = await start();
    const { pack } = await putPack(reading.store, 0, [1], 'p');
    const stop = new AbortController();
    const read = reading.threads.read(packKey(packOf(0)), 'bytes' in pack ? pack.bytes : 0, {
      signal: stop.signal,
    });
    stop.abort(new Error('enough'));
    await expect(read).rejects.toThrow('enough');
  });

  it('reject what they have in hand when they end', async () => {
    const reading = await start();
    const waiting = reading.threads
      .read('packs/none', 100)
      .catch((error: { message: string }) => error.message);
    await reading[Symbol.asyncDispose]();
    expect(await waiting).toMatch(/no object|none|ended/);
  });
});
