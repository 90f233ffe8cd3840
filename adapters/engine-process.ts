import { messageOf } from '#core/error.ts';
import type { EngineBatch, Tensor, TensorInfo } from '#core/ports/engine.ts';
import { OnnxEngine, type OnnxEngineOptions } from './onnx-engine.ts';
import { serveTasks } from './task-process.ts';

export type EngineSetup = OnnxEngineOptions;
export type EngineTask = { kind: 'load' } | { kind: 'run'; batch: EngineBatch };
export type EngineResult =
  | { kind: 'loaded'; inputs: readonly TensorInfo[]; outputs: readonly TensorInfo[] }
  | { kind: 'done'; outputs: Readonly<Record<string, Tensor>> }
  | { kind: 'failed'; message: string };

// The child's side of IsolatedEngine: one model, whatever it does to this process.
serveTasks<EngineSetup, EngineTask, never, EngineResult>((options) => {
  const loading = OnnxEngine.load(options);
  // Reported to whoever waits for it; without this line, one that nobody has asked for yet would end the process.
  loading.catch(() => undefined);
  return async (task) => {
    try {
      const engine = await loading;
      if (task.kind === 'load') return { kind: 'loaded', inputs: engine.inputs, outputs: engine.outputs };
      return { kind: 'done', outputs: await engine.run(task.batch) };
    } catch (error) {
      return { kind: 'failed', message: messageOf(error) };
    }
  };
});
