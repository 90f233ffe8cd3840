import { parentPort, workerData } from 'node:worker_threads';
import { pageLockedMemory } from '#adapters/cuda-driver.ts';
import type { OnnxEngineOptions } from '#adapters/onnx-engine.ts';
import { openOnnxSession } from '#adapters/onnx-session.ts';

// One session that runs the same batch again and again, from memory that the GPU reads by itself: nothing is fetched or copied.
const { options, batch, seconds } = workerData as {
  options: OnnxEngineOptions;
  batch: number;
  seconds: number;
};
const session = await openOnnxSession(options);
const inputs = Object.fromEntries(
  session.inputs.map(({ name, shape }) => {
    const dims = shape.map((side) => side ?? batch);
    const data = pageLockedMemory(
      options.deviceId ?? 0,
      dims.reduce((a, b) => a * b, 1),
    );
    for (let i = 0; i < data.length; i++) data[i] = (i * 2654435761) >>> 24;
    return [name, { dtype: 'uint8' as const, shape: dims, data }];
  }),
);
for (let i = 0; i < 3; i++) await session.run(inputs);
parentPort?.postMessage('ready');
parentPort?.once('message', async () => {
  const startedMs = performance.now();
  let images = 0;
  while (performance.now() - startedMs < seconds * 1000) {
    await session.run(inputs);
    images += batch;
  }
  parentPort?.postMessage({ images, ms: performance.now() - startedMs });
  parentPort?.close();
});
