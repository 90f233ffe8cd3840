import { setImmediate as nextTurn } from 'node:timers/promises';
import * as ort from 'onnxruntime-node';
import type { EngineBatch, Tensor, TensorDtype, TensorInfo } from '#core/ports/engine.ts';
import { ARRAYS, sliceOf } from './batch-slices.ts';
import type { OnnxEngineOptions, Placement } from './onnx-engine.ts';
import { profiled } from './onnx-profile.ts';
import { StagingMemory } from './staging-memory.ts';

/** A loaded model. `run` blocks the thread that calls it, slice by slice. */
export interface OnnxSession {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** Of a session on a GPU. */
  readonly placement?: Placement;
  /** What is slower than it could be, and why. */
  readonly notes?: readonly string[];
  /** @param onSlice is told when a slice is done and another one follows. */
  run(batch: EngineBatch, onSlice?: () => void): Promise<Record<string, Tensor>>;
}

/**
 * A session on the provider that was asked for. On a GPU it has run a batch of zeros already: the first run chooses
 * kernels and takes memory, and tells which provider each node really runs on.
 *
 * @throws what ONNX Runtime throws where it does not take the model, or has no such provider.
 */
export async function openOnnxSession(options: OnnxEngineOptions): Promise<OnnxSession> {
  const { provider, maxBatch } = options;
  const settings: ort.InferenceSession.SessionOptions = {
    executionProviders: [provider === 'cpu' ? 'cpu' : { name: provider, deviceId: options.deviceId ?? 0 }],
    intraOpNumThreads: options.threads,
    interOpNumThreads: 1,
    // The arena never gives memory back: without it the peak is that of one slice.
    enableCpuMemArena: false,
    // An engine of TensorRT is optimized already, and nothing of it may run anywhere else.
    ...(provider === 'tensorrt' && {
      graphOptimizationLevel: 'disabled',
      extra: { session: { disable_cpu_ep_fallback: '1' } },
    }),
    // Without 8-bit dot products (VNNI) ONNX Runtime's kernels for int8 weights on x64 add up pairs of products in 16 bits, which
    // overflow. This makes uint8 of the weights there, whose kernels are exact; elsewhere it changes nothing
    // (onnxruntime_session_options_config_keys.h, kOrtSessionOptionsAvx2PrecisionMode).
    ...(provider === 'cpu' && { extra: { session: { x64quantprecision: '1' } } }),
    // Whatever goes wrong is thrown, and told in our words: ONNX Runtime would write its own beside it.
    logSeverityLevel: 4,
  };
  const open = (more: ort.InferenceSession.SessionOptions = {}): Promise<ort.InferenceSession> =>
    ort.InferenceSession.create(options.modelPath, { ...settings, ...more });
  // The CUDA provider plans anew for every batch size that it has not just seen: it always gets the same.
  const pad = options.padBatches ?? provider === 'cuda';
  if (provider === 'cpu') return described(await open(), { maxBatch, pad });
  const warmUp = (session: ort.InferenceSession): Promise<unknown> =>
    session.run(zeros(infos(session.inputMetadata), maxBatch));
  const { session, placement } = await profiled(open, warmUp);
  const staging = new StagingMemory(
    options.deviceId ?? 0,
    Object.fromEntries(infos(session.inputMetadata).map((input) => [input.name, bytesOf(input, maxBatch)])),
  );
  return {
    ...described(session, { maxBatch, pad, staging }),
    placement,
    notes: staging.missing === undefined ? [] : [staging.missing],
  };
}

interface Slicing {
  readonly maxBatch: number;
  readonly pad: boolean;
  readonly staging?: StagingMemory;
}

function described(session: ort.InferenceSession, slicing: Slicing): OnnxSession {
  return {
    inputs: infos(session.inputMetadata),
    outputs: infos(session.outputMetadata),
    run: (batch, onSlice) => runInSlices(session, batch, slicing, onSlice),
  };
}

async function runInSlices(
  session: ort.InferenceSession,
  batch: EngineBatch,
  { maxBatch, pad, staging }: Slicing,
  onSlice: (() => void) | undefined,
): Promise<Record<string, Tensor>> {
  const images = Object.values(batch)[0]?.shape[0] ?? 0;
  const slices: ort.InferenceSession.OnnxValueMapType[] = [];
  for (let from = 0; from < images; from += maxBatch) {
    if (from > 0) {
      onSlice?.();
      // A small batch that has come in meanwhile goes between the slices of a large one.
      await nextTurn();
    }
    const to = Math.min(images, from + maxBatch);
    const rows = pad ? maxBatch : to - from;
    const feeds = Object.entries(batch).map(([name, tensor]) => {
      const { dtype, shape, data } = sliceOf(
        tensor,
        { from, to, rows },
        staging && ((bytes, lies) => staging.take(name, bytes, lies)),
      );
      // ORT takes views of any offset without copying.
      return [name, new ort.Tensor(dtype, data as Uint8Array, shape)] as const;
    });
    slices.push(await session.run(Object.fromEntries(feeds)));
  }
  return Object.fromEntries(
    session.outputNames.map((name) => [
      name,
      join(
        slices.map((slice) => slice[name] as ort.Tensor),
        images,
      ),
    ]),
  );
}

/** The first `images` rows of tensors, one after the other. */
function join(tensors: readonly ort.Tensor[], images: number): Tensor {
  const first = tensors[0] as ort.Tensor;
  const shape = [images, ...first.dims.slice(1)];
  const dtype = first.type as TensorDtype;
  const length = shape.reduce((a, b) => a * b, 1);
  if (tensors.length === 1) return { dtype, shape, data: (first.data as Float32Array).subarray(0, length) };
  const data = new (first.data.constructor as Float32ArrayConstructor)(length);
  let at = 0;
  for (const tensor of tensors) {
    data.set((tensor.data as Float32Array).subarray(0, length - at), at);
    at += tensor.data.length;
  }
  return { dtype, shape, data };
}

function infos(metadata: readonly ort.InferenceSession.ValueMetadata[]): TensorInfo[] {
  return metadata.map((value) => ({
    name: value.name,
    dtype: value.isTensor ? value.type : 'not a tensor',
    shape: value.isTensor ? value.shape.map((side) => (typeof side === 'number' ? side : null)) : [],
  }));
}

/** A batch of zeros as the model takes it. */
function zeros(inputs: readonly TensorInfo[], images: number): Record<string, ort.Tensor> {
  return Object.fromEntries(
    inputs.map(({ name, dtype, shape }) => {
      const dims = dimsOf(shape, images);
      const NewArray = ARRAYS[dtype as TensorDtype];
      const data = new NewArray(productOf(dims));
      return [name, new ort.Tensor(dtype as 'uint8', data as Uint8Array, dims)];
    }),
  );
}

function bytesOf({ dtype, shape }: TensorInfo, images: number): number {
  return productOf(dimsOf(shape, images)) * ARRAYS[dtype as TensorDtype].BYTES_PER_ELEMENT;
}

function dimsOf(shape: TensorInfo['shape'], images: number): number[] {
  return shape.map((side, i) => side ?? (i === 0 ? images : 1));
}

function productOf(dims: readonly number[]): number {
  return dims.reduce((a, b) => a * b, 1);
}
