import { writeFile } from 'node:fs/promises';
import { SluiceError } from '#core/error.ts';
import type { Reduced } from '#core/model-manifest.ts';
import type { ModelProto } from '#models/onnx/generated/onnx_pb.js';
import { type ChosenOutputs, chooseOutputs, reducible } from './choose-outputs.ts';
import { describeValue, type GraphFacts } from './inspect-graph.ts';
import { type PreparedGraph, type PrepareOptions, prepareGraph } from './prepare-graph.ts';
import type { SettledInput } from './settle-input.ts';
import { type Outputs, runTrials, type TrialOptions, tryBatch } from './try-model.ts';

/** The length of a fixed batch dimension, and whether it is to become dynamic. */
type Batch = Pick<PrepareOptions, 'batchToFree' | 'fixedBatch'>;

/** Builds prepared graphs and puts them where an engine can read them. */
export class Trial {
  readonly #model: ModelProto;
  readonly #settled: SettledInput;
  readonly #path: string;
  readonly #maxSecondsPerRun: number;

  constructor(model: ModelProto, settled: SettledInput, path: string, maxSecondsPerRun: number) {
    this.#model = model;
    this.#settled = settled;
    this.#path = path;
    this.#maxSecondsPerRun = maxSecondsPerRun;
  }

  prepare(outputs: readonly string[], batch: Batch, reduce?: Reduced): PreparedGraph {
    const { tensor, preprocess } = this.#settled;
    const { widthPx, heightPx } = preprocess;
    return prepareGraph(this.#model, { tensor, widthPx, heightPx, outputs, reduce, ...batch });
  }

  async options(prepared: PreparedGraph): Promise<TrialOptions> {
    await writeFile(this.#path, prepared.bytes);
    const { widthPx, heightPx } = this.#settled.preprocess;
    return {
      modelPath: this.#path,
      input: prepared.input,
      widthPx,
      heightPx,
      maxSecondsPerRun: this.#maxSecondsPerRun,
    };
  }
}

const NUMERIC = new Set(['float', 'float16', 'double', 'int32', 'int64', 'uint8', 'bool']);

/** Runs the model as it is, to learn the shapes of its outputs, and chooses among them. */
export async function chooseByTrial(
  trial: Trial,
  facts: GraphFacts,
  fixedBatch: number | undefined,
  { wishes, preprocess }: SettledInput,
): Promise<ChosenOutputs> {
  const outputs = facts.outputs.filter(({ dtype }) => NUMERIC.has(dtype));
  if (outputs.length === 0)
    invalid(`expected an output of numbers, got ${facts.outputs.map(describeValue).join(', ') || 'none'}`);
  const prepared = trial.prepare(
    outputs.map(({ name }) => name),
    { batchToFree: undefined, fixedBatch },
  );
  const images = fixedBatch ?? 1;
  const [run] = await runTrials(await trial.options(prepared), [Array.from({ length: images }, (_, i) => i)]);
  const tried = prepared.outputs.map((name, i) => {
    const { activation, name: original } = outputs[i]!;
    const { shape = [], data } = run?.[name] ?? {};
    const values = data instanceof Float32Array ? data.subarray(0, data.length / images) : undefined;
    return { name: original, activation, values, shape: shape[0] === images ? shape.slice(1) : undefined };
  });
  const batched = tried.flatMap(({ shape, ...output }) =>
    shape === undefined ? [] : [{ ...output, shape }],
  );
  if (batched.length === 0) {
    const got = prepared.outputs.map((name) => `"${name}" [${run?.[name]?.shape ?? ''}]`).join(', ');
    invalid(
      `expected outputs whose first dimension is the batch, got ${got}: export the model so that it keeps each image's results apart`,
    );
  }
  return chooseOutputs(batched, wishes, preprocess);
}

export interface FreedModel {
  readonly prepared: PreparedGraph;
  readonly batch: Batch;
  readonly note: string | undefined;
  /** What it gave for made-up pictures, each by itself. */
  readonly alone: readonly Outputs[];
}

/** The prepared model for any batch, where that gives the same results; else for one image at a time. */
export async function freedIfPossible(
  trial: Trial,
  chosen: ChosenOutputs,
  fixedBatch: number | undefined,
): Promise<FreedModel> {
  const outputs = chosen.outputs.map(({ name }) => name);
  const free: Batch = { batchToFree: fixedBatch, fixedBatch: undefined };
  const reduce = reducible(chosen);
  const prepared = trial.prepare(outputs, free, reduce);
  const tried = await tryBatch(await trial.options(prepared));
  if ('alone' in tried) return { prepared, batch: free, note: undefined, alone: tried.alone };
  const { trouble } = tried;
  if (fixedBatch !== undefined && fixedBatch !== 1) {
    invalid(
      `the model takes batches of ${fixedBatch} only, and could not be made to take others (${trouble}): export it with a dynamic batch`,
    );
  }
  const single: Batch = { batchToFree: undefined, fixedBatch: 1 };
  const one = trial.prepare(outputs, single, reduce);
  return {
    prepared: one,
    batch: single,
    alone: await runTrials(await trial.options(one), [[0], [1]]),
    note: `the batch dimension could not be freed (${trouble}): images run one by one, which on a GPU costs most of its throughput; export the model with a dynamic batch`,
  };
}

function invalid(message: string): never {
  throw new SluiceError('model-invalid', message);
}
