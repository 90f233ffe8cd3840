import { hasCode, messageOf, SluiceError } from '#core/error.ts';
import type { Engine, EngineBatch, RunOptions, Tensor, TensorInfo } from '#core/ports/engine.ts';

/** A batch, and then three of its images in a row, each alone: it is the model, not the images. */
const MAX_LOSSES_IN_A_ROW = 4;

/**
 * An engine that outlives its own process: a run that costs it one fails with `engine-lost`, and the next run has a new
 * one. After a few such losses in a row, without a run in between that came back, it gives up: a model that hangs on
 * everything must not cost its time limit for every image.
 *
 * It is running → lost → running …, until it has given up or is disposed of; then every run fails at once.
 *
 * @example
 * await using engine = await RestartingEngine.load(() => IsolatedEngine.load(options));
 */
export class RestartingEngine implements Engine {
  readonly provider: string;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly #load: () => Promise<Engine>;
  #engine: Engine | undefined;
  #lossesInARow = 0;
  #over: SluiceError | undefined;
  /** One run at a time: one that waits must not be lost with the one that runs. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(load: () => Promise<Engine>, engine: Engine) {
    this.#load = load;
    this.#engine = engine;
    this.provider = engine.provider;
    this.inputs = engine.inputs;
    this.outputs = engine.outputs;
  }

  /** @throws SluiceError what `load` throws. */
  static async load(load: () => Promise<Engine>): Promise<RestartingEngine> {
    return new RestartingEngine(load, await load());
  }

  /**
   * @throws SluiceError `engine-failed` when the model fails on the batch, `engine-lost` when the run cost it its process,
   * `engine-given-up` when that was one time too many, and for every run after that.
   */
  run(batch: EngineBatch, options?: RunOptions): Promise<Readonly<Record<string, Tensor>>> {
    const turn = this.#last.then(() => this.#run(batch, options));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over ??= new SluiceError('engine-unavailable', 'the engine has been closed');
    await this.#engine?.[Symbol.asyncDispose]();
  }

  async #run(batch: EngineBatch, options: RunOptions | undefined): Promise<Readonly<Record<string, Tensor>>> {
    if (this.#over !== undefined) throw this.#over;
    try {
      const engine = await this.#running();
      const outputs = await engine.run(batch, options);
      this.#lossesInARow = 0;
      return outputs;
    } catch (error) {
      if (!hasCode(error, 'engine-lost')) {
        // The process has answered: it is well.
        this.#lossesInARow = 0;
        throw error;
      }
      const lost = this.#engine;
      this.#engine = undefined;
      await lost?.[Symbol.asyncDispose]();
      if (++this.#lossesInARow < MAX_LOSSES_IN_A_ROW) throw error;
      this.#over ??= new SluiceError(
        'engine-given-up',
        `the model is given up, after it was lost ${MAX_LOSSES_IN_A_ROW} times in a row. The last time: ${error.message}`,
        { cause: error },
      );
      throw this.#over;
    }
  }

  /** The engine, a new one where the last one was lost. */
  async #running(): Promise<Engine> {
    if (this.#engine !== undefined) return this.#engine;
    const engine = await this.#load().catch((cause: unknown) => {
      throw new SluiceError('engine-lost', `the model could not be started again: ${messageOf(cause)}`, {
        cause,
      });
    });
    if (this.#over !== undefined) {
      await engine[Symbol.asyncDispose]();
      throw this.#over;
    }
    this.#engine = engine;
    return engine;
  }
}
