import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { BenchResult } from '../support/bench.ts';
import { GpuUsage } from './gpu-usage.ts';

const TIMEOUT_MS = 240_000;

/** What the script prints of each loop: when it ended, and how long its steady part took. */
interface Loop {
  readonly metric: string;
  readonly imagesPerSecond: number;
  readonly seconds: number;
}

/** PyTorch with the same ResNet-50, on as many processor cores, where Python has it; else one line says why not. */
export async function pythonPeer(cores: string): Promise<BenchResult[]> {
  const script = fileURLToPath(new URL('./python_peer.py', import.meta.url));
  using usage = new GpuUsage();
  const child = spawn('taskset', ['-c', cores, 'python3', '-u', script], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
  });
  const results: BenchResult[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { metric, imagesPerSecond, seconds } = JSON.parse(line) as Loop;
    const endedMs = performance.now();
    const gpuPercent = usage.between(endedMs - 1000 * seconds, endedMs);
    results.push(
      { metric, value: imagesPerSecond, unit: 'images/s' },
      { metric: `${metric}: GPU busy`, value: gpuPercent, unit: '%' },
    );
  });
  let said = '';
  child.stderr.on('data', (piece: Buffer) => {
    said += piece.toString();
  });
  const [exitCode] = (await once(child, 'close')) as [number | null];
  if (exitCode !== 0)
    console.error(`skipped: the comparison with PyTorch: ${said.trim().split('\n').slice(-2).join(' ')}`);
  return results;
}
