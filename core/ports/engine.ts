export type TensorDtype = 'uint8' | 'int32' | 'int64' | 'float32';

export type TensorData = Uint8Array | Int32Array | BigInt64Array | Float32Array;

/** A dense row-major tensor. `data` may be a view into a larger buffer. */
export interface Tensor {
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/**
 * A tensor, or pieces of one, one after the other along the first dimension: a batch of several packs, each where it was
 * read to. An engine puts them together on its own thread, into memory of its choice.
 */
export interface InputTensor extends Omit<Tensor, 'data'> {
  readonly data: TensorData | readonly TensorData[];
}

/** The pieces of an input. */
export function piecesOf({ data }: InputTensor): readonly TensorData[] {
  return ArrayBuffer.isView(data) ? [data] : data;
}

/** An input or output of a model; `null` in the shape is a dynamic dimension. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly (number | null)[];
}

/**
 * One loaded model that runs batches. `run` takes ownership of the inputs' buffers: they may be moved to
 * another thread and must not be read afterwards.
 *
 * Errors are {@link SluiceError}s. `engine-failed`: the model fails on this batch. `engine-lost`: the run did not end in
 * time, or took the process of the model down; where there is a next one, it takes the next run. `engine-given-up`: that
 * came about too often in a row, and no run is tried any more. `engine-unavailable`: the engine died, and this process can
 * have no other.
 */
export interface Engine extends AsyncDisposable {
  /** The execution provider that runs the model: `cpu`, `cuda` or `tensorrt`. */
  readonly provider: string;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** Runs that it takes at a time and gains from: while one computes, the next one's input is on its way. */
  readonly runsInFlight?: number;
  run(batch: EngineBatch, options?: RunOptions): Promise<Readonly<Record<string, Tensor>>>;
}

export interface RunOptions {
  /** Takes the memory of the inputs back once the model has done with it; without it, it is given up. */
  readonly recycle?: (memory: ArrayBuffer) => void;
}

/** Inputs by name. All have the same first dimension, the batch. */
export type EngineBatch = Readonly<Record<string, InputTensor>>;
