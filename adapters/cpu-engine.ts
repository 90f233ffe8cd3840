import type { Engine } from '#core/ports/engine.ts';
import { IsolatedEngine } from './isolated-engine.ts';
import type { LoadedModel } from './model-folder.ts';
import { OnnxEngine } from './onnx-engine.ts';
import { RestartingEngine } from './restarting-engine.ts';

/** Larger slices gain no speed on a CPU and cost memory. */
const MAX_BATCH = 8;

/**
 * A model on this machine's CPU: one that comes with Sluice in a thread; any other in a process of its own, since what
 * others made may do anything, such as never end.
 *
 * @throws SluiceError `model-invalid` where ONNX Runtime does not take the model.
 */
export function loadCpuEngine(
  { manifest, modelPath, isBuiltIn }: LoadedModel,
  { threads, maxSecondsPerRun }: { threads: number; maxSecondsPerRun: number },
): Promise<Engine> {
  const maxBatch = Math.min(MAX_BATCH, manifest.maxBatch ?? MAX_BATCH);
  const options = { modelPath, provider: 'cpu', threads, maxBatch } as const;
  return isBuiltIn
    ? OnnxEngine.load(options)
    : RestartingEngine.load(() => IsolatedEngine.load({ ...options, maxSecondsPerRun }));
}
