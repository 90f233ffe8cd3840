import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { SluiceError } from '#core/error.ts';
import {
  type Engine,
  type EngineBatch,
  piecesOf,
  type RunOptions,
  type Tensor,
  type TensorInfo,
} from '#core/ports/engine.ts';
import { abandon } from './hung-threads.ts';
import type { OnnxSession } from './onnx-session.ts';
import { entryFile, startThread } from './runtime.ts';
import { TimeLimit, within } from './time-limit.ts';

export const ONNX_PROVIDERS = ['tensorrt', 'cuda', 'cpu'] as const;
/** ONNX Runtime's execution providers, fastest first. */
export type OnnxProvider = (typeof ONNX_PROVIDERS)[number];

/** Nodes of a model by the execution provider that runs them, as ONNX Runtime's own profile tells. */
export type Placement = Readonly<Record<string, number>>;

/** Which model to load, and how. */
export interface OnnxEngineOptions {
  readonly modelPath: string;
  /** Tried as named: a provider that cannot be had is an error, never silently another one. */
  readonly provider: OnnxProvider;
  /** Which GPU; 0 is the first. */
  readonly deviceId?: number;
  /** Threads for one operator. */
  readonly threads: number;
  /** At most so many images go through the model at once; larger batches run in slices. Bounds memory. */
  readonly maxBatch: number;
  /** Every run has `maxBatch` images, with zeros behind the last ones. By default so with CUDA, and only there. */
  readonly padBatches?: boolean;
  /** Seconds that one run of the model, of at most `maxBatch` images, may take; left out, it takes what it takes. */
  readonly maxSecondsPerRun?: number;
}

/** What the thread is asked, and what it answers; `id` pairs them. */
export type EngineRequest = { id: number; batch: EngineBatch };
export type EngineReply =
  | ({ kind: 'ready' } & Pick<OnnxSession, 'inputs' | 'outputs' | 'placement' | 'notes'>)
  | { kind: 'load-failed'; message: string }
  | { kind: 'slice' }
  | { kind: 'done'; id: number; outputs: Record<string, Tensor>; memory: ArrayBuffer[] }
  | { kind: 'failed'; id: number; message: string; memory: ArrayBuffer[] };

interface Pending {
  resolve(outputs: Record<string, Tensor>): void;
  reject(error: SluiceError): void;
  readonly recycle: RunOptions['recycle'];
}

/** Reading and optimizing the largest models takes tens of seconds. */
export const MAX_LOAD_SECONDS = 300;

/** What is said of a run that was stopped. */
export function overrunText(seconds: number, images: number): string {
  return (
    `the model did not end within ${seconds} s on a batch of ${images}, and was stopped: ` +
    'expected a model that ends on every input, or raise the limit if it is only slow'
  );
}

/** ONNX Runtime did not take a model. */
export function notLoaded({ provider }: OnnxEngineOptions, why: string): SluiceError {
  return new SluiceError(
    'model-invalid',
    `ONNX Runtime could not load the model with provider "${provider}": ${why}`,
  );
}

/** The memory of a batch's tensors, each piece once. */
export function memoryOf(batch: EngineBatch): ArrayBuffer[] {
  return [
    ...new Set(
      Object.values(batch)
        .flatMap(piecesOf)
        .map(({ buffer }) => buffer as ArrayBuffer),
    ),
  ];
}

/**
 * An ONNX Runtime session in a worker thread of its own: `session.run` blocks the thread that calls it, and
 * here that thread has nothing else to do. Tensors move by transfer, not by copy.
 *
 * A run that overruns its time ends the engine, and should end the process: the thread goes on in native code, which
 * nothing but the end of the process stops. See {@link endIfHung}.
 *
 * @example
 * await using engine = await OnnxEngine.load({ modelPath, provider: 'cpu', threads: 1, maxBatch: 16 });
 * const { scores } = await engine.run({ images, content_size });
 */
export class OnnxEngine implements Engine {
  readonly provider: string;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** Of a session on a GPU. */
  readonly placement: Placement | undefined;
  /** What is slower than it could be, and why. */
  readonly notes: readonly string[];
  readonly #thread: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #dead: SluiceError | undefined;
  #hangs = false;
  /** Runs while anything is pending, and begins anew with every sign of progress: the thread does one run after the other. */
  readonly #limit: TimeLimit | undefined;

  private constructor(
    thread: Worker,
    { provider, maxBatch, maxSecondsPerRun }: OnnxEngineOptions,
    ready: EngineReply & { kind: 'ready' },
  ) {
    this.#thread = thread;
    this.provider = provider;
    if (maxSecondsPerRun !== undefined)
      this.#limit = new TimeLimit(maxSecondsPerRun, () => {
        this.#hangs = true;
        abandon(thread);
        this.#die(new SluiceError('engine-unavailable', overrunText(maxSecondsPerRun, maxBatch)));
      });
    this.inputs = ready.inputs;
    this.outputs = ready.outputs;
    this.placement = ready.placement;
    this.notes = ready.notes ?? [];
    thread.on('message', (reply: EngineReply) => this.#settle(reply));
    thread.on('error', (cause) =>
      this.#die(new SluiceError('engine-unavailable', `the engine died: ${cause}`, { cause })),
    );
    thread.on('exit', () => this.#die(new SluiceError('engine-unavailable', 'the engine has been closed')));
  }

  /**
   * @throws SluiceError `model-invalid` where ONNX Runtime does not take the model, `engine-unavailable` where the run of
   * zeros that a GPU begins with does not end.
   */
  static async load(options: OnnxEngineOptions): Promise<OnnxEngine> {
    const thread = startThread(entryFile('./onnx-engine-thread.ts', import.meta.url), {
      workerData: options,
      name: 'engine',
    });
    const { maxSecondsPerRun } = options;
    const answer = once(thread, 'message') as Promise<[EngineReply]>;
    const outcome =
      maxSecondsPerRun === undefined
        ? await answer
        : await within(MAX_LOAD_SECONDS + maxSecondsPerRun, () => answer);
    if (outcome === 'overrun') {
      abandon(thread);
      throw new SluiceError(
        'engine-unavailable',
        `the model was not loaded, with a first run, within ${MAX_LOAD_SECONDS + (maxSecondsPerRun ?? 0)} s`,
      );
    }
    const [reply] = outcome;
    if (reply.kind === 'ready') return new OnnxEngine(thread, options, reply);
    await thread.terminate();
    throw notLoaded(options, reply.kind === 'load-failed' ? reply.message : reply.kind);
  }

  /**
   * @throws SluiceError `engine-failed` when the model fails on the batch; `engine-unavailable` when it did not end within
   * its time, when the thread died, and for every run after that.
   */
  async run(batch: EngineBatch, { recycle }: RunOptions = {}): Promise<Readonly<Record<string, Tensor>>> {
    if (this.#dead !== undefined) throw this.#dead;
    const id = this.#nextId++;
    if (this.#pending.size === 0) this.#limit?.begin();
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, recycle });
      this.#thread.postMessage({ id, batch } satisfies EngineRequest, memoryOf(batch));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#limit?.end();
    if (!this.#hangs) await this.#thread.terminate();
  }

  #settle(reply: EngineReply): void {
    if (reply.kind === 'slice') this.#limit?.begin();
    if (reply.kind !== 'done' && reply.kind !== 'failed') return;
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if (this.#pending.size > 0) this.#limit?.begin();
    else this.#limit?.end();
    for (const memory of reply.memory) pending?.recycle?.(memory);
    if (reply.kind === 'done') pending?.resolve(reply.outputs);
    else
      pending?.reject(
        new SluiceError('engine-failed', `the model failed on a batch: ${reply.message}`, {
          retryable: true,
        }),
      );
  }

  #die(error: SluiceError): void {
    this.#dead ??= error;
    this.#limit?.end();
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
  }
}
