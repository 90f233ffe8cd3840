import { WORKERS_PREFIX } from '#core/job-layout.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { UsageRecord } from '#core/usage.ts';
import { WorkerStatus } from '#core/worker-status.ts';
import { readJson } from '../json-object.ts';

/** A worker that was to say something every 15 s and has not for so long is gone without a word. */
const GONE_MS = 5 * 60_000;

/** What workers have consumed and no part tells. */
export interface WorkerUsage {
  /** Of workers that are gone, and the objects that say so: to be deleted once it is told. */
  readonly gone: readonly UsageRecord[];
  readonly goneKeys: readonly string[];
  /** Of those that run: they may tell it themselves. */
  readonly running: readonly UsageRecord[];
}

/** By what workers have said of themselves last. One that cannot be read is as good as none. */
export async function workerUsage(works: ObjectStore, now = Date.now()): Promise<WorkerUsage> {
  const gone: UsageRecord[] = [];
  const goneKeys: string[] = [];
  const running: UsageRecord[] = [];
  let cursor: string | undefined;
  do {
    const page = await works.list({ prefix: WORKERS_PREFIX, ...(cursor !== undefined && { cursor }) });
    for (const { key } of page.objects) {
      const status = await readJson(works, key, WorkerStatus).catch(() => undefined);
      if (status === undefined) continue;
      const isGone = status.stopped === true || now - Date.parse(status.at) > GONE_MS;
      (isGone ? gone : running).push(...(status.untold ?? []));
      if (isGone) goneKeys.push(key);
    }
    cursor = page.next;
  } while (cursor !== undefined);
  return { gone, goneKeys, running };
}
