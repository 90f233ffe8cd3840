import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FolderStore } from '#adapters/folder-store.ts';
import { verifyJob } from '#functions/finalizing/verify-job.ts';
import { auditRows } from '#test/support/audit-rows.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { atMost, type BenchResult } from './support/bench.ts';
import { LocalCloud } from './support/local-cloud.ts';
import { writeSamplePhotos } from './support/sample-photos.ts';

const IMAGES = 20_000;
const MEGAPIXELS = 0.05;
const WORKERS = 2;
const INVOCATIONS = 4;
const LIMIT_MIB = (1.2 * 1000 * 1000 * 1000) / 2 ** 20;
const WITHIN_MS = 20 * 60_000;
/** What differs by where and when a row was made, not by what it says. */
const RECEIPT = ['etag', 'job', 'pack', 'preprocess_ms'];

/**
 * A backfill of 20,000 images over S3 and SQS on this machine, with two workers and four invocations of preprocess at a
 * time: does every image have its row, and the same row as in the run of a folder? And what do the workers weigh?
 */
export async function backfillBench(): Promise<BenchResult[]> {
  await using folder = await temporaryFolder();
  const photos = join(folder.path, 'photos');
  await writeSamplePhotos(photos, { megapixels: MEGAPIXELS, images: IMAGES });
  await using cloud = await LocalCloud.start({ photos });
  const workers = Array.from({ length: WORKERS }, () => cloud.worker());
  cloud.functions(['plan', 'finalize'], { concurrency: 1, processes: 1 });
  cloud.functions(['preprocess'], { concurrency: INVOCATIONS, processes: INVOCATIONS });
  const startedMs = performance.now();
  await cloud.submit('backfill');
  const { works } = cloud.pipeline;
  const quarter: number[] = [];
  for (let done = 0; done < IMAGES / 64 / 4; ) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    done = (await works.list({ prefix: 'parts/' })).objects.length;
  }
  for (const worker of workers) quarter.push(await rssMib(worker.pid!, 'VmRSS'));
  const { completion } = await cloud.reached('backfill', 'complete', WITHIN_MS);
  const seconds = (performance.now() - startedMs) / 1000;
  const peaks: number[] = [];
  const end: number[] = [];
  for (const worker of workers) {
    peaks.push(await rssMib(worker.pid!, 'VmHWM'));
    end.push(await rssMib(worker.pid!, 'VmRSS'));
  }
  const { problems } = await verifyJob('backfill', works);

  const out = join(folder.path, 'out');
  const run = spawnSync(process.execPath, ['cli/sluice.mjs', 'run', photos, '--out', out, '--quiet'], {
    stdio: 'inherit',
  });
  if (run.status !== 0) throw new Error(`sluice run ended with exit code ${run.status}`);
  const local = await auditRows(new FolderStore(out), ['audit.parquet'], RECEIPT);
  const tables = completion.tables.map(({ key }) => key);
  const cloudRows = await auditRows(works, tables, RECEIPT);
  const different = cloudRows.filter((row, i) => !isDeepEqual(row, local[i])).length;
  const { planned, audited, unreadable, failed } = completion;
  return [
    { metric: 'planned', value: planned, unit: 'images' },
    atMost('planned - audited - unreadable - failed', planned - audited - unreadable - failed, 0, 'images'),
    atMost('failed', failed, 0, 'images'),
    atMost(
      'rows that differ from the run of a folder',
      different + Math.abs(local.length - planned),
      0,
      'rows',
    ),
    atMost('problems that verify finds', problems.length, 0, 'problems'),
    { metric: 'images/s, all on this machine', value: IMAGES / seconds, unit: 'images/s' },
    ...peaks.map((peak, i) => atMost(`peak RSS of worker ${i + 1}`, peak, LIMIT_MIB, 'MiB')),
    ...end.map((mib, i) =>
      atMost(`RSS of worker ${i + 1}, at the end to after a quarter`, mib / (quarter[i] ?? 1), 1.1),
    ),
  ];
}

function isDeepEqual(a: unknown, b: unknown): boolean {
  const text = (value: unknown): string =>
    JSON.stringify(value, (_, member: unknown) => (typeof member === 'bigint' ? String(member) : member));
  return text(a) === text(b);
}

async function rssMib(pid: number, field: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0) / 1024;
}
