import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { GpuUsage } from './gpu-usage.ts';

const SECONDS = 4;
const WARM_UP_MS = 500;
const TIMEOUT_MS = 60_000;

/**
 * Images a second of TensorRT's own command on an engine whose inputs and outputs stay in the GPU's memory: the ceiling of whatever
 * feeds it. ONNX Runtime cannot keep them there from Node.
 */
export async function residentLoop(
  enginePath: string,
  input: { readonly name: string; readonly shape: readonly (number | null)[] },
  batch: number,
): Promise<{ imagesPerSecond: number; gpuPercent: number }> {
  const shape = input.shape.map((side) => side ?? batch).join('x');
  using usage = new GpuUsage();
  const { stdout } = await promisify(execFile)(
    'trtexec',
    [
      `--loadEngine=${enginePath}`,
      `--shapes=${input.name}:${shape}`,
      '--noDataTransfers',
      `--duration=${SECONDS}`,
      `--warmUp=${WARM_UP_MS}`,
    ],
    { timeout: TIMEOUT_MS, maxBuffer: 64 * 1024 * 1024 },
  );
  const endedMs = performance.now();
  const batches = Number(/Throughput: ([\d.]+) qps/.exec(stdout)?.[1]);
  return {
    imagesPerSecond: batches * batch,
    // It ends with some statistics, and begins with loading.
    gpuPercent: usage.between(endedMs - 1000 * (SECONDS - 1), endedMs - 500),
  };
}
