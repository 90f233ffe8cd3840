import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '#core/error.ts';
import { type EngineReply, type EngineRequest, memoryOf, type OnnxEngineOptions } from './onnx-engine.ts';
import { type OnnxSession, openOnnxSession } from './onnx-session.ts';

const port = parentPort;
if (port === null) throw new Error('this file runs in a worker thread only');

try {
  const session = await openOnnxSession(workerData as OnnxEngineOptions);
  port.on('message', (request: EngineRequest) => void answer(session, request));
  const { run: _, ...described } = session;
  reply({ kind: 'ready', ...described });
} catch (error) {
  reply({ kind: 'load-failed', message: messageOf(error) });
}

async function answer(session: OnnxSession, { id, batch }: EngineRequest): Promise<void> {
  const memory = memoryOf(batch);
  try {
    reply(
      { kind: 'done', id, outputs: await session.run(batch, () => reply({ kind: 'slice' })), memory },
      memory,
    );
  } catch (error) {
    reply({ kind: 'failed', id, message: messageOf(error), memory }, memory);
  }
}

function reply(message: EngineReply, transfer: readonly ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer);
}
