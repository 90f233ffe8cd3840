import type { Engine, EngineBatch, RunOptions, Tensor, TensorInfo } from '#core/ports/engine.ts';

/**
 * Several sessions of one model as one engine. On a GPU a session copies its input, computes, and copies its output, one
 * after the other: a second one copies while the first computes, and the GPU never waits for a copy.
 */
export class EnginePool implements Engine {
  readonly provider: string;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly runsInFlight: number;
  readonly #engines: readonly { engine: Engine; running: number }[];

  /**
   * @param engines at least one, all of the same model and provider.
   * @param provider what receipts and metrics call them.
   */
  constructor(engines: readonly [Engine, ...Engine[]], provider?: string) {
    const [first] = engines;
    this.provider = provider ?? first.provider;
    this.inputs = first.inputs;
    this.outputs = first.outputs;
    this.runsInFlight = engines.length;
    this.#engines = engines.map((engine) => ({ engine, running: 0 }));
  }

  /** Runs the batch on the session with the least to do. */
  async run(batch: EngineBatch, options?: RunOptions): Promise<Readonly<Record<string, Tensor>>> {
    const idlest = this.#engines.reduce((a, b) => (b.running < a.running ? b : a));
    idlest.running++;
    try {
      return await idlest.engine.run(batch, options);
    } finally {
      idlest.running--;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#engines.map(({ engine }) => engine[Symbol.asyncDispose]()));
  }
}
