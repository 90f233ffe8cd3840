import type { Plan } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { readShard } from '#functions/planning/read-plan.ts';
import type { LocalJobRequest } from './job-request.ts';
import { keyFilter } from './prepare-job.ts';

/**
 * How the source differs from what a finished job audited, in words; `undefined` where it does not. The job itself
 * stays as it was planned: results must not change under the same plan.
 */
export async function sourceChanges(
  plan: Plan,
  request: LocalJobRequest,
  works: ObjectStore,
  stop: AbortSignal,
): Promise<string | undefined> {
  const planned = new Map<string, string>();
  for (const { shard } of plan.shards) {
    for (const { key, etag } of (await readShard(plan, shard, works)).refs) planned.set(key, etag);
  }
  const counts = { new: 0, changed: 0, gone: 0 };
  for await (const entry of request.source.entries(keyFilter(request), stop)) {
    if ('problem' in entry) continue;
    const etag = planned.get(entry.ref.key);
    if (etag === undefined) counts.new++;
    else if (etag !== entry.ref.etag) counts.changed++;
    planned.delete(entry.ref.key);
  }
  counts.gone = planned.size;
  const parts = Object.entries(counts).flatMap(([what, count]) => (count > 0 ? [`${count} ${what}`] : []));
  if (parts.length === 0) return undefined;
  return `these are the results of a finished job; since it was planned its source has ${parts.join(', ')}: --force audits it as it is now`;
}
