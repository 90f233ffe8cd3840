import { once } from 'node:events';
import type { OnnxEngineOptions } from '#adapters/onnx-engine.ts';
import { startThread } from '#adapters/runtime.ts';
import { GpuUsage } from './gpu-usage.ts';

/** Images a second of sessions that do nothing but run batches that are in memory already. */
export async function bareLoop(
  options: OnnxEngineOptions,
  batch: number,
  sessions: number,
  seconds: number,
): Promise<{ imagesPerSecond: number; gpuPercent: number }> {
  const threads = [];
  for (let i = 0; i < sessions; i++) {
    const thread = startThread(new URL('./bare-thread.ts', import.meta.url), {
      workerData: { options: { ...options, maxBatch: batch }, batch, seconds },
    });
    await once(thread, 'message');
    threads.push(thread);
  }
  using usage = new GpuUsage();
  const startedMs = performance.now();
  const rates = await Promise.all(
    threads.map(async (thread) => {
      thread.postMessage('go');
      const [{ images, ms }] = (await once(thread, 'message')) as [{ images: number; ms: number }];
      return images / (ms / 1000);
    }),
  );
  const gpuPercent = usage.between(startedMs + 500, performance.now() - 200);
  await Promise.all(threads.map((thread) => thread.terminate()));
  return { imagesPerSecond: rates.reduce((a, b) => a + b, 0), gpuPercent };
}
