import { completionKey, jobPrefixes } from '#core/job-layout.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { isLiveJob, liveJob } from '../live/live-job.ts';

const LIVE = jobPrefixes('live-');
const DAY_MS = 24 * 3600 * 1000;
/** An event may come late; a day of the live lane is closed this long after it ended. */
const LATE_EVENTS_MS = 2 * 3600 * 1000;

/** The days of the live lane that are over, had images or dead letters, and have no results yet; the earliest first. */
export async function unclosedLiveDays(works: ObjectStore, nowMs = Date.now()): Promise<string[]> {
  const last = liveJob(new Date(nowMs - DAY_MS - LATE_EVENTS_MS).toISOString());
  const folders = await Promise.all([works.folders(LIVE.parts), works.folders(LIVE.dead)]);
  const days = new Set(folders.flat().map((folder) => folder.split('/').at(-2) ?? ''));
  const over = [...days].filter((day) => isLiveJob(day) && day <= last).sort();
  if (over.length === 0) return [];
  const closed = await closedLiveDays(works);
  return over.filter((day) => !closed.has(completionKey(day)));
}

/** The keys of the proofs of days: a few listings a year of them, instead of a request for each day. */
async function closedLiveDays(works: ObjectStore): Promise<Set<string>> {
  const keys = new Set<string>();
  let cursor: string | undefined;
  do {
    const page = await works.list({ prefix: LIVE.jobs, ...(cursor !== undefined && { cursor }) });
    for (const { key } of page.objects) keys.add(key);
    cursor = page.next;
  } while (cursor !== undefined);
  return keys;
}
