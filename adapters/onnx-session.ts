import { setImmediate as nextTurn } from 'node:timers/promises';
import * as ort from 'onnxruntime-node';
import type { EngineBatch, Tensor, TensorDtype, TensorInfo } from '#core/ports/engine.ts';
import type { OnnxEngineOptions } from './onnx-engine.ts';

/** A loaded model. `run` blocks the thread that calls it, slice by slice. */
export interface OnnxSession {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  run(batch: EngineBatch): Promise<Record<string, Tensor>>;
}

/** @throws what ONNX Runtime throws where it does not take the model. */
export async function openOnnxSession(options: OnnxEngineOptions): Promise<OnnxSession> {
  const session = await ort.InferenceSession.create(options.modelPath, {
    executionProviders: [options.provider],
    intraOpNumThreads: options.threads,
    interOpNumThreads: 1,
    // The arena never gives memory back: without it the peak is that of one slice.
    enableCpuMemArena: false,
    logSeverityLevel: 3,
  });
  return {
    inputs: infos(session.inputMetadata),
    outputs: infos(session.outputMetadata),
    run: (batch) => runInSlices(session, batch, options.maxBatch),
  };
}

async function runInSlices(
  session: ort.InferenceSession,
  batch: EngineBatch,
  maxBatch: number,
): Promise<Record<string, Tensor>> {
  const images = Object.values(batch)[0]?.shape[0] ?? 0;
  const slices: ort.InferenceSession.OnnxValueMapType[] = [];
  for (let from = 0; from < images; from += maxBatch) {
    // A small batch that has come in meanwhile goes between the slices of a large one.
    if (from > 0) await nextTurn();
    const to = Math.min(images, from + maxBatch);
    const feeds = Object.entries(batch).map(([name, tensor]) => [name, sliceOf(tensor, from, to)] as const);
    slices.push(await session.run(Object.fromEntries(feeds)));
  }
  return Object.fromEntries(
    session.outputNames.map((name) => [name, join(slices.map((slice) => slice[name] as ort.Tensor))]),
  );
}

/** Rows `from` to `to` of a tensor, as a view. */
function sliceOf(tensor: Tensor, from: number, to: number): ort.Tensor {
  const [rows = 0, ...rest] = tensor.shape;
  const perRow = tensor.data.length / Math.max(1, rows);
  // Buffers come out of a transfer as Uint8Array; ORT takes views of any offset without copying.
  return new ort.Tensor(tensor.dtype, tensor.data.subarray(from * perRow, to * perRow) as Uint8Array, [
    to - from,
    ...rest,
  ]);
}

function join(tensors: readonly ort.Tensor[]): Tensor {
  const first = tensors[0] as ort.Tensor;
  const rows = tensors.reduce((sum, tensor) => sum + (tensor.dims[0] as number), 0);
  const shape = [rows, ...first.dims.slice(1)];
  const dtype = first.type as TensorDtype;
  if (tensors.length === 1) return { dtype, shape, data: first.data as Float32Array };
  const data = new (first.data.constructor as Float32ArrayConstructor)(shape.reduce((a, b) => a * b, 1));
  let at = 0;
  for (const tensor of tensors) {
    data.set(tensor.data as Float32Array, at);
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
