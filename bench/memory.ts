import { type ChildProcess, spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import type { BenchResult } from './support/bench.ts';
import { writeSamplePhotos } from './support/sample-photos.ts';

const COMMAND = fileURLToPath(new URL('../cli/sluice.mjs', import.meta.url));
const SAMPLE_EVERY_MS = 50;
const LIMIT_MIB = 600;
const COUNTS = [500, 2000] as const;

/**
 * Peak resident memory of `sluice run` and all its processes over 12-megapixel JPEGs, at default settings, for two
 * numbers of images: it must stay under a limit and not grow. Memory that processes share is counted once for each
 * (the sum of RSS), so the true figure is lower; the sum of PSS, which counts it once in all, stands beside it.
 */
export async function memoryBench(): Promise<BenchResult[]> {
  if (process.platform !== 'linux')
    throw new Error('the memory benchmark reads /proc: it runs on Linux only');
  const results: BenchResult[] = [];
  const peaks: number[] = [];
  for (const images of COUNTS) {
    await using folder = await temporaryFolder();
    const photos = join(folder.path, 'photos');
    await writeSamplePhotos(photos, { megapixels: 12, images });
    const child = spawn(
      process.execPath,
      [COMMAND, 'run', photos, '--out', join(folder.path, 'out'), '--quiet'],
      {
        stdio: 'inherit',
      },
    );
    const peak = await peakOf(child);
    peaks.push(peak.rssMib);
    results.push(
      {
        metric: `peak sum of RSS, ${images} images`,
        value: peak.rssMib,
        unit: 'MiB',
        target: LIMIT_MIB,
        met: peak.rssMib < LIMIT_MIB,
      },
      { metric: `peak sum of PSS, ${images} images`, value: peak.pssMib, unit: 'MiB' },
    );
  }
  const growth = (peaks[1] as number) / (peaks[0] as number);
  results.push({
    metric: `growth from ${COUNTS[0]} to ${COUNTS[1]} images`,
    value: growth,
    unit: 'ratio',
    target: 1.1,
    met: growth <= 1.1,
  });
  return results;
}

async function peakOf(child: ChildProcess): Promise<{ rssMib: number; pssMib: number }> {
  const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
  const peak = { rssMib: 0, pssMib: 0 };
  while (child.exitCode === null && child.signalCode === null) {
    const now = await memoryOfTree(child.pid as number);
    peak.rssMib = Math.max(peak.rssMib, now.rssMib);
    peak.pssMib = Math.max(peak.pssMib, now.pssMib);
    await sleep(SAMPLE_EVERY_MS);
  }
  const exitCode = await ended;
  if (exitCode !== 0) throw new Error(`sluice run ended with exit code ${exitCode}`);
  return peak;
}

async function memoryOfTree(root: number): Promise<{ rssMib: number; pssMib: number }> {
  let rssKib = 0;
  let pssKib = 0;
  for (const pid of await treeOf(root)) {
    const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
    rssKib += Number(/^Rss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0);
    pssKib += Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0);
  }
  return { rssMib: rssKib / 1024, pssMib: pssKib / 1024 };
}

/** A process and all its descendants. */
async function treeOf(root: number): Promise<number[]> {
  const parents = new Map<number, number>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    // The command's name may hold spaces and brackets: what counts comes after the last ")".
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    parents.set(Number(name), parent);
  }
  const tree = [root];
  for (const pid of tree) for (const [child, parent] of parents) if (parent === pid) tree.push(child);
  return tree;
}
