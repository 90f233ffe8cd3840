import { setImmediate as nextTurn } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import * as ort from 'onnxruntime-node';
import { messageOf } from '#core/error.ts';
import type { EngineBatch, Tensor, TensorDtype, TensorInfo } from '#core/ports/engine.ts';
import type { EngineReply, EngineRequest, OnnxEngineOptions } from './onnx-engine.ts';

const port = parentPort;
if (port === null) throw new Error('this file runs in a worker thread only');
const options = workerData as OnnxEngineOptions;

try {
  const session = await ort.InferenceSession.create(options.modelPath, {
    executionProviders: [options.provider],
    intraOpNumThreads: options.threads,
    interOpNumThreads: 1,
    // The arena never gives memory back: without it the peak is that of one slice.
    enableCpuMemArena: false,
    logSeverityLevel: 3,
  });
  port.on('message', (request: EngineRequest) => void answer(session, request));
  reply({ kind: 'ready', inputs: infos(session.inputMetadata), outputs: infos(session.outputMetadata) });
} catch (error) {
  reply({ kind: 'load-failed', message: messageOf(error) });
}

async function answer(session: ort.InferenceSession, { id, batch }: EngineRequest): Promise<void> {
  try {
    const outputs = await runInSlices(session, batch);
    reply({ kind: 'done', id, outputs });
  } catch (error) {
    reply({ kind: 'failed', id, message: messageOf(error) });
  }
}

async function runInSlices(
  session: ort.InferenceSession,
  batch: EngineBatch,
): Promise<Record<string, Tensor>> {
  const images = Object.values(batch)[0]?.shape[0] ?? 0;
  const slices: ort.InferenceSession.OnnxValueMapType[] = [];
  for (let from = 0; from < images; from += options.maxBatch) {
    // A small batch that has come in meanwhile goes between the slices of a large one.
    if (from > 0) await nextTurn();
    const to = Math.min(images, from + options.maxBatch);
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

function reply(message: EngineReply): void {
  port?.postMessage(message);
}
