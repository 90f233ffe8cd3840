import { FolderStore } from '#adapters/folder-store.ts';
import { MemoryQueue } from '#adapters/memory-queue.ts';
import { decodePart } from '#adapters/part-file.ts';
import type { AuditRecord } from '#core/audit-record.ts';
import { SluiceError } from '#core/error.ts';
import { partKey } from '#core/job-layout.ts';
import type { PackMessage } from '#core/messages.ts';
import {
  type Engine,
  type EngineBatch,
  type InputTensor,
  piecesOf,
  type RunOptions,
  type Tensor,
} from '#core/ports/engine.ts';
import { preprocessHash } from '#core/preprocess-spec.ts';
import { InferenceWorker } from '#workers/inference-worker.ts';
import { packOf, putPack as putPackOf } from './pack-file.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { tinyManifest } from './tiny-manifest.ts';

export const manifest = tinyManifest({
  policy: { rules: [{ check: 'light', when: { measure: 'level', above: 100 }, verdict: 'review' }] },
});

/** Writes a pack for that model, and gives the message that announces it. */
export const putPack = (works: FolderStore, range: number, levels: readonly number[]): Promise<PackMessage> =>
  putPackOf(works, range, levels, preprocessHash(manifest.preprocess));

/** The level of an image on which the engine of {@link FirstByteEngine} is lost. */
export const LOSES = 17;

/**
 * A model whose score is the first byte of an image; it fails on a batch with level 13 in it. What it gives back of a
 * batch's memory holds other values by then.
 */
export class FirstByteEngine implements Engine {
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
export async function work(
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
