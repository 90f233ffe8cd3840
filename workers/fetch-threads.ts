import type { Worker } from 'node:worker_threads';
import { countUsage, inCallersTally } from '#adapters/meter.ts';
import { entryFile, startThread } from '#adapters/runtime.ts';
import { SluiceError, type SluiceErrorCode } from '#core/error.ts';
import type { StoreLocation } from '#core/store-location.ts';
import type { Usage } from '#core/usage.ts';
import { MAX_GROWTH, type PackFile, type PackFiles } from './pack-files.ts';
import type { RecycledMemory } from './recycled-memory.ts';

/** What a thread is asked, and what it answers; `id` pairs them. The memory goes along, and comes back filled. */
export type FetchRequest = { id: number; key: string; maxBytes: number; memory: ArrayBuffer };
export type FetchReply =
  | { id: number; kind: 'read'; memory: ArrayBuffer; bytes: number; checksum: string; usage: Usage }
  | { id: number; kind: 'failed'; code: SluiceErrorCode; message: string; retryable: boolean; usage: Usage };

interface Pending {
  resolve(file: PackFile): void;
  reject(error: SluiceError): void;
  /** Counts for whoever asked. */
  count(usage: Usage): void;
}

/** A pack that was made again may be some bytes longer than announced, and should still fit. */
const SLACK_BYTES = 64 * 1024;

/**
 * Packs read by threads of their own. One thread reads and checks about half a gigabyte a second, and a GPU takes more:
 * then the thread that everything else runs on has none of it to do.
 */
export class FetchThreads implements PackFiles, AsyncDisposable {
  readonly #memory: RecycledMemory;
  readonly #threads: readonly { worker: Worker; pending: Map<number, Pending> }[];
  #nextId = 1;

  constructor(location: StoreLocation, threads: number, memory: RecycledMemory) {
    this.#memory = memory;
    this.#threads = Array.from({ length: threads }, (_, i) => {
      const worker = startThread(entryFile('./fetch-thread.ts', import.meta.url), {
        workerData: location,
        name: `fetch ${i}`,
      });
      const pending = new Map<number, Pending>();
      worker.on('message', (reply: FetchReply) => settle(pending, reply));
      const die = (reason: string): void => {
        const error = new SluiceError('internal', `a thread that reads packs ended: ${reason}`, {
          retryable: true,
        });
        for (const one of pending.values()) one.reject(error);
        pending.clear();
      };
      worker.on('error', (error) => die(String(error)));
      worker.on('exit', () => die('it was stopped'));
      return { worker, pending };
    });
  }

  read(key: string, announcedBytes: number): Promise<PackFile> {
    const thread = this.#threads.reduce((a, b) => (b.pending.size < a.pending.size ? b : a));
    const id = this.#nextId++;
    const memory = this.#memory.take(announcedBytes + SLACK_BYTES).buffer as ArrayBuffer;
    const request: FetchRequest = { id, key, maxBytes: MAX_GROWTH * announcedBytes, memory };
    return new Promise((resolve, reject) => {
      thread.pending.set(id, { resolve, reject, count: inCallersTally(countUsage) });
      thread.worker.postMessage(request, [memory]);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }
}

function settle(pending: Map<number, Pending>, reply: FetchReply): void {
  const waiting = pending.get(reply.id);
  pending.delete(reply.id);
  waiting?.count(reply.usage);
  if (reply.kind === 'read') {
    const { memory, bytes, checksum } = reply;
    waiting?.resolve({ file: Buffer.from(memory, 0, bytes), checksum });
    return;
  }
  const { code, message, retryable } = reply;
  waiting?.reject(new SluiceError(code, message, { retryable }));
}
