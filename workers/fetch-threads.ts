import { setFlagsFromString } from 'node:v8';
import type { Worker } from 'node:worker_threads';
import { countUsage, inCallersTally } from '#adapters/meter.ts';
import { entryFile, startThread } from '#adapters/runtime.ts';
import { SluiceError, type SluiceErrorCode } from '#core/error.ts';
import type { StoreLocation } from '#core/store-location.ts';
import type { Usage } from '#core/usage.ts';
import { FETCHERS, MAX_GROWTH, type PackFile, type PackFiles, type ReadOptions } from './pack-files.ts';
import type { RecycledMemory } from './recycled-memory.ts';

/** What a thread is told at its start. */
export interface FetchThreadData {
  readonly location: StoreLocation;
  /** Packs that it reads at the same time. */
  readonly fetchers: number;
}

/** What a thread is asked, and what it answers; `id` pairs them. The memory goes along, and comes back filled. */
export type FetchRequest = {
  id: number;
  key: string;
  maxBytes: number;
  isUrgent: boolean;
  memory: ArrayBuffer;
};
export type FetchReply =
  | { id: number; kind: 'read'; memory: ArrayBuffer; bytes: number; checksum: string; usage: Usage }
  | { id: number; kind: 'failed'; code: SluiceErrorCode; message: string; retryable: boolean; usage: Usage };

interface FetchThread {
  readonly worker: Worker;
  readonly pending: Map<number, Pending>;
}

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
  readonly #data: FetchThreadData;
  readonly #memory: RecycledMemory;
  /** By place; a place is empty until it is needed, and again when its thread has died. */
  readonly #threads: (FetchThread | undefined)[];
  #nextId = 1;

  /** @param fetchers packs that all of them read at the same time; no more threads are started than that. */
  constructor(location: StoreLocation, threads: number, memory: RecycledMemory, fetchers = FETCHERS) {
    const places = Math.min(threads, fetchers);
    // Each piece of a body is garbage of 64 KiB outside of the heap, for which V8 looks through a heap ten times a second. Four
    // threads beside ours help with that, and take more time from the processor than the reading does. It is so for the whole process.
    setFlagsFromString('--no-concurrent-marking');
    this.#data = { location, fetchers: Math.ceil(fetchers / places) };
    this.#memory = memory;
    this.#threads = Array.from({ length: places }, (_, place) => this.#start(place));
  }

  read(
    key: string,
    announcedBytes: number,
    { signal, isUrgent = false }: ReadOptions = {},
  ): Promise<PackFile> {
    const thread = this.#leastBusy();
    const id = this.#nextId++;
    const memory = this.#memory.take(announcedBytes + SLACK_BYTES).buffer as ArrayBuffer;
    const request: FetchRequest = { id, key, maxBytes: MAX_GROWTH * announcedBytes, isUrgent, memory };
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const giveUp = (): void => {
        thread.pending.delete(id);
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', giveUp, { once: true });
      const settled = <T>(how: (value: T) => void) => {
        return (value: T): void => {
          signal?.removeEventListener('abort', giveUp);
          how(value);
        };
      };
      const count = inCallersTally(countUsage);
      thread.pending.set(id, { resolve: settled(resolve), reject: settled(reject), count });
      thread.worker.postMessage(request, [memory]);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread?.worker.terminate()));
  }

  #leastBusy(): FetchThread {
    const pending = (place: number): number => this.#threads[place]?.pending.size ?? 0;
    const place = this.#threads.reduce<number>((best, _, i) => (pending(i) < pending(best) ? i : best), 0);
    this.#threads[place] ??= this.#start(place);
    return this.#threads[place];
  }

  /** Starts a thread in a place. What it has in hand when it dies is to be read again, by another one in its place. */
  #start(place: number): FetchThread {
    const worker = startThread(entryFile('./fetch-thread.ts', import.meta.url), {
      workerData: this.#data,
      name: `fetch ${place}`,
    });
    const pending = new Map<number, Pending>();
    let reason = 'it was stopped';
    worker.on('message', (reply: FetchReply) => settle(pending, reply));
    worker.on('error', (error) => {
      reason = String(error);
    });
    worker.on('exit', () => {
      this.#threads[place] = undefined;
      rejectAll(pending, reason);
    });
    return { worker, pending };
  }
}

function rejectAll(pending: Map<number, Pending>, reason: string): void {
  const error = new SluiceError('internal', `a thread that reads packs ended: ${reason}`, {
    retryable: true,
  });
  for (const one of pending.values()) one.reject(error);
  pending.clear();
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
