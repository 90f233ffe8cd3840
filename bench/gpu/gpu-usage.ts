import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** Samples how much of the time the GPU runs kernels, every 100 ms, as the driver tells. */
export class GpuUsage implements Disposable {
  readonly #samples: { atMs: number; percent: number }[] = [];
  readonly #child = spawn(
    'nvidia-smi',
    ['--query-gpu=utilization.gpu', '--format=csv,noheader,nounits', '-lms', '100'],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );

  constructor() {
    // Where there is no such command there are no samples.
    this.#child.on('error', () => undefined);
    createInterface({ input: this.#child.stdout }).on('line', (line) =>
      this.#samples.push({ atMs: performance.now(), percent: Number(line) }),
    );
  }

  /** The mean over a stretch of time, in percent: a median would not show gaps. */
  between(fromMs: number, toMs: number): number {
    const within = this.#samples.filter(({ atMs }) => atMs >= fromMs && atMs <= toMs);
    return within.reduce((sum, { percent }) => sum + percent, 0) / within.length;
  }

  [Symbol.dispose](): void {
    this.#child.kill();
  }
}
