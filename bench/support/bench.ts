import { cpus } from 'node:os';

/** One figure of a benchmark. `met` stands beside a target only. */
export interface BenchResult {
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  readonly target?: number;
  readonly met?: boolean;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

/** A figure that must reach its target. */
export function atLeast(metric: string, value: number, target: number, unit = 'ratio'): BenchResult {
  return { metric, value, unit, target, met: value >= target };
}

/** A figure that must not pass its target. */
export function atMost(metric: string, value: number, target: number, unit = 'ratio'): BenchResult {
  return { metric, value, unit, target, met: value <= target };
}

/** The milliseconds that `work` takes. */
export async function timed(work: () => unknown): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

/** What a figure was measured on. */
function machine(): string {
  const [first] = cpus();
  return `${cpus().length} × ${first?.model.trim() ?? 'unknown processor'}, Node ${process.versions.node}, ${process.platform}`;
}

export function jsonLine(name: string, results: readonly BenchResult[]): string {
  return JSON.stringify({ name, machine: machine(), results });
}

export function table(name: string, results: readonly BenchResult[]): string {
  const width = Math.max(...results.map(({ metric }) => metric.length));
  const rows = results.map(({ metric, value, unit, target, met }) => {
    const verdict = target === undefined ? '' : `  target ${target}: ${met ? 'met' : 'MISSED'}`;
    return `  ${metric.padEnd(width)}  ${value.toPrecision(4).padStart(9)} ${unit}${verdict}`;
  });
  return [`${name} (${machine()}; medians)`, ...rows].join('\n');
}
