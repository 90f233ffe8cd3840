import { messageOf } from '#core/error.ts';
import type { EngineBatch, Tensor, TensorInfo } from '#core/ports/engine.ts';
import { notLoaded, type OnnxEngineOptions } from './onnx-engine.ts';
import { openOnnxSession } from './onnx-session.ts';
import { serveTasks } from './task-process.ts';

export type EngineSetup = OnnxEngineOptions;
export type EngineTask = { kind: 'load' } | { kind: 'run'; batch: EngineBatch };
/** A slice of the batch is done, and another one follows. */
export type EngineEvent = { kind: 'slice' };
export type EngineResult =
  | { kind: 'loaded'; inputs: readonly TensorInfo[]; outputs: readonly TensorInfo[] }
  | { kind: 'done'; outputs: Readonly<Record<string, Tensor>> }
  | { kind: 'failed'; message: string };

// The child's side of IsolatedEngine: one model, whatever it does to this process. It has this thread for itself: there
// is nothing else to be done here.
serveTasks<EngineSetup, EngineTask, EngineEvent, EngineResult>((options) => {
  const loading = openOnnxSession(options).catch((error: unknown) => {
    throw notLoaded(options, messageOf(error));
  });
  // Reported to whoever waits for it; without this line, one that nobody has asked for yet would end the process.
  loading.catch(() => undefined);
  return async (task, emit) => {
    try {
      const session = await loading;
      if (task.kind === 'load') return { kind: 'loaded', inputs: session.inputs, outputs: session.outputs };
      return { kind: 'done', outputs: await session.run(task.batch, () => emit({ kind: 'slice' })) };
    } catch (error) {
      return { kind: 'failed', message: messageOf(error) };
    }
  };
});
