import { messageOf, SluiceError, type SluiceErrorCode } from '#core/error.ts';
import type { Engine, EngineBatch, RunOptions, Tensor, TensorInfo } from '#core/ports/engine.ts';
import type { EngineEvent, EngineResult, EngineSetup, EngineTask } from './engine-process.ts';
import {
  checkIsHere,
  MAX_LOAD_SECONDS,
  memoryOf,
  type OnnxEngineOptions,
  overrunText,
} from './onnx-engine.ts';
import { entryFile } from './runtime.ts';
import { TaskProcess } from './task-process.ts';
import { within } from './time-limit.ts';

export interface IsolatedEngineOptions extends OnnxEngineOptions {
  /** Seconds that one run of the model, of at most `maxBatch` images, may take. */
  readonly maxSecondsPerRun: number;
}

type EngineProcess = TaskProcess<EngineSetup, EngineTask, EngineEvent, EngineResult>;

/**
 * An ONNX Runtime session in a process of its own, for models that Sluice did not build. Native code that does not
 * come back cannot be stopped in a thread, and it keeps the whole process from ending; a process can be killed.
 * Tensors are copied on the way, which costs a few milliseconds for a batch.
 *
 * It is loading → idle ⇄ running, until it is disposed of, overruns its time or dies; then every run fails.
 *
 * @example
 * await using engine = await IsolatedEngine.load({ modelPath, provider: 'cpu', threads: 1, maxBatch: 8, maxSecondsPerRun: 60 });
 */
export class IsolatedEngine implements Engine {
  readonly provider: string;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly #process: EngineProcess;
  readonly #options: IsolatedEngineOptions;
  /** A process does one task at a time. */
  #last: Promise<unknown> = Promise.resolve();
  #dead: SluiceError | undefined;

  private constructor(
    process: EngineProcess,
    options: IsolatedEngineOptions,
    loaded: { inputs: readonly TensorInfo[]; outputs: readonly TensorInfo[] },
  ) {
    this.#process = process;
    this.#options = options;
    this.provider = options.provider;
    this.inputs = loaded.inputs;
    this.outputs = loaded.outputs;
  }

  /** @throws SluiceError `model-invalid` where ONNX Runtime does not take the model, or dies of it. */
  static async load(options: IsolatedEngineOptions): Promise<IsolatedEngine> {
    const { maxSecondsPerRun: _, ...setup } = options;
    const process: EngineProcess = new TaskProcess(
      entryFile('./engine-process.ts', import.meta.url),
      setup,
      'the process of the model',
    );
    const outcome = await within(MAX_LOAD_SECONDS, () => process.run({ kind: 'load' })).catch(
      (cause): EngineResult => ({
        kind: 'failed',
        message: `ONNX Runtime did not survive loading the model: ${messageOf(cause)}`,
      }),
    );
    if (outcome !== 'overrun' && outcome.kind === 'loaded')
      return new IsolatedEngine(process, options, outcome);
    process.kill();
    throw new SluiceError(
      'model-invalid',
      outcome === 'overrun'
        ? `loading the model took longer than ${MAX_LOAD_SECONDS} s`
        : outcome.kind === 'failed'
          ? outcome.message
          : 'the model was not loaded',
    );
  }

  /**
   * @throws SluiceError `engine-failed` when the model fails on the batch; `engine-lost` when it did not end within its
   * time and was killed, or took its process down, and for every run after that.
   */
  run(batch: EngineBatch, { recycle }: RunOptions = {}): Promise<Readonly<Record<string, Tensor>>> {
    const turn = this.#last
      .then(() => this.#run(batch))
      .finally(() => {
        if (recycle !== undefined) memoryOf(batch).forEach(recycle);
      });
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#dead ??= error('engine-unavailable', 'the engine has been closed');
    this.#process.kill();
  }

  async #run(batch: EngineBatch): Promise<Readonly<Record<string, Tensor>>> {
    if (this.#dead !== undefined) throw this.#dead;
    checkIsHere(batch);
    const { maxSecondsPerRun, maxBatch } = this.#options;
    const result = await within(maxSecondsPerRun, (progress) =>
      this.#process.run({ kind: 'run', batch }, progress),
    ).catch((cause) => {
      this.#dead ??= error('engine-lost', `the model took its process down: ${messageOf(cause)}`);
      throw this.#dead;
    });
    if (result === 'overrun') {
      const images = Math.min(maxBatch, Object.values(batch)[0]?.shape[0] ?? 0);
      this.#dead = error('engine-lost', overrunText(maxSecondsPerRun, images));
      this.#process.kill();
      throw this.#dead;
    }
    if (result.kind === 'done') return result.outputs;
    const why = result.kind === 'failed' ? result.message : 'nothing was run';
    throw error('engine-failed', `the model failed on a batch: ${why}`, true);
  }
}

function error(code: SluiceErrorCode, message: string, retryable = false): SluiceError {
  return new SluiceError(code, message, { retryable });
}
