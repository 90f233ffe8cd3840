import type { EngineEvent, EngineResult, EngineSetup, EngineTask } from '#adapters/engine-process.ts';
import { entryFile } from '#adapters/runtime.ts';
import { TaskProcess } from '#adapters/task-process.ts';
import { SIDE_PX } from './tiny-models.ts';

// A process that exits while its child hangs in a model; it says which process the child is.
const [modelPath = ''] = process.argv.slice(2);
const child = new TaskProcess<EngineSetup, EngineTask, EngineEvent, EngineResult>(
  entryFile('../../adapters/engine-process.ts', import.meta.url),
  { modelPath, provider: 'cpu', threads: 1, maxBatch: 2 },
);
await child.run({ kind: 'load' });
const data = new Uint8Array(4 * SIDE_PX * SIDE_PX * 3);
const x = { dtype: 'uint8', shape: [4, SIDE_PX, SIDE_PX, 3], data } as const;
child.run({ kind: 'run', batch: { x } }).catch(() => undefined);
process.stdout.write(`${child.pid}\n`);
// By then the child is in native code, and hears nothing any more.
setTimeout(() => process.exit(), 1000);
