import { parentPort, workerData } from 'node:worker_threads';
import PQueue from 'p-queue';
import { Tally } from '#adapters/meter.ts';
import { openStore } from '#adapters/open-store.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import type { FetchReply, FetchRequest, FetchThreadData } from './fetch-threads.ts';
import { priorityOf, readPackFile } from './pack-files.ts';

// The thread's side of FetchThreads: reads packs, several at a time, into memory that it is handed and hands back.
const port = parentPort;
if (port === null) throw new Error('this file runs in a worker thread only');
const { location, fetchers } = workerData as FetchThreadData;
const works = await openStore(location);
// What is asked for ahead begins the moment that a place is free, without a message to and fro.
const reads = new PQueue({ concurrency: fetchers });

port.on('message', (request: FetchRequest) => {
  void reads.add(() => read(request), { priority: priorityOf(request.isUrgent) });
});

async function read({ id, key, maxBytes, memory }: FetchRequest): Promise<void> {
  const tally = new Tally('worker');
  const allocate = (bytes: number): Buffer =>
    memory.byteLength >= bytes ? Buffer.from(memory, 0, bytes) : Buffer.allocUnsafeSlow(bytes);
  try {
    const { file, checksum } = await tally.run(() => readPackFile(works, key, { maxBytes, allocate }));
    const filled = file.buffer as ArrayBuffer;
    reply({ id, kind: 'read', memory: filled, bytes: file.length, checksum, usage: tally.take() }, [filled]);
  } catch (error) {
    const failure =
      error instanceof SluiceError
        ? error
        : new SluiceError('internal', messageOf(error), { retryable: true });
    const { code, message, retryable } = failure;
    reply({ id, kind: 'failed', code, message, retryable, usage: tally.take() }, []);
  }
}

function reply(message: FetchReply, transfer: readonly ArrayBuffer[]): void {
  port?.postMessage(message, transfer);
}
