import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { messageOf } from '#core/error.ts';
import type { BenchResult } from '../support/bench.ts';

const TIMEOUT_MS = 240_000;

/** PyTorch with the same ResNet-50, on as many processor cores, where Python has it; else one line says why not. */
export async function pythonPeer(cores: string): Promise<BenchResult[]> {
  const script = fileURLToPath(new URL('./python_peer.py', import.meta.url));
  try {
    const { stdout } = await promisify(execFile)('taskset', ['-c', cores, 'python3', script], {
      timeout: TIMEOUT_MS,
    });
    return JSON.parse(stdout) as BenchResult[];
  } catch (error) {
    console.error(
      `skipped: the comparison with PyTorch: ${messageOf(error).split('\n').slice(-2).join(' ')}`,
    );
    return [];
  }
}
