import { decodePart } from '#adapters/part-file.ts';
import type { Pipeline } from '#adapters/pipeline.ts';
import { Completion } from '#core/completion.ts';
import { completionKey, jobPrefixes } from '#core/job-layout.ts';
import type { ObjectInfo, ObjectStore } from '#core/ports/object-store.ts';
import { Summary } from '#core/summary.ts';
import { bottleneckOf, type WorkerStatus } from '#core/worker-status.ts';
import { ahead } from '#functions/ahead.ts';
import { RESULTS_PREFIX } from '#functions/finalizing/complete-job.ts';
import { SUMMARY_FILE } from '#functions/finalizing/finalize-job.ts';
import { type DeathCause, deathCauses } from '#functions/finalizing/redrive.ts';
import { readJson } from '#functions/json-object.ts';
import { dayOf } from '#functions/live/live-job.ts';
import { depthOf, presentWorkers, type QueueDepth } from './pipeline-status.ts';

/** A day of the live lane, at one moment. */
export interface LiveDayStatus {
  readonly job: string;
  readonly day: string;
  readonly state: 'open' | 'complete';
  readonly at: string;
  /** Images with a row: while the day is open those that have come so far, and an object that changed between two looks maybe twice. */
  readonly audited: number;
  /** Of those, once the day is complete. */
  readonly unreadable?: number;
  /** Images of the day's results without a row of a model; while it is open, messages among the dead letters. */
  readonly failed: number;
  /** How the images were judged: all of a complete day, the newest ones of an open one. */
  readonly verdicts: Readonly<Record<string, number>>;
  readonly judged: number;
  /** When the newest row was written. */
  readonly newestAt?: string;
  readonly deadLetters: readonly DeathCause[];
  readonly queues: Readonly<Record<'events' | 'live', QueueDepth>>;
  /** The longest that an image of the live lane waited for a model, in the last minute of the workers' work. */
  readonly longestWaitSeconds?: number;
  readonly workers: readonly WorkerStatus[];
  readonly bottleneck: string;
}

/** Rows that are read for the verdicts of a day that is open: each image has a part of its own. */
const NEWEST_PARTS = 200;
const READS_AHEAD = 16;

/** Where a day of the live lane stands. It has no plan before it is closed: what has come is what there is. */
export async function liveDayStatus(job: string, pipeline: Pipeline): Promise<LiveDayStatus> {
  const { works } = pipeline;
  const [events, live, workers, deadLetters, completion] = await Promise.all([
    depthOf(pipeline, 'events'),
    depthOf(pipeline, 'live'),
    presentWorkers(pipeline),
    deathCauses(job, works),
    readJson(works, completionKey(job), Completion),
  ]);
  const waits = workers.flatMap(({ liveWaitSeconds }) => liveWaitSeconds ?? []);
  return {
    job,
    day: dayOf(job),
    at: new Date().toISOString(),
    ...(completion === undefined
      ? await openDay(job, deadLetters, works)
      : await closedDay(completion, works)),
    deadLetters,
    queues: { events, live },
    ...(waits.length > 0 && { longestWaitSeconds: Math.max(...waits) }),
    workers,
    bottleneck: bottleneckOf(workers),
  };
}

type Counts = Pick<
  LiveDayStatus,
  'state' | 'audited' | 'unreadable' | 'failed' | 'verdicts' | 'judged' | 'newestAt'
>;

async function closedDay(
  { job, audited, unreadable, failed }: Completion,
  works: ObjectStore,
): Promise<Counts> {
  const summary = await readJson(works, `${RESULTS_PREFIX}jobs/${job}/${SUMMARY_FILE}`, Summary);
  const verdicts = summary?.verdicts ?? {};
  return { state: 'complete', audited, unreadable, failed, verdicts, judged: audited + unreadable };
}

async function openDay(job: string, deadLetters: readonly DeathCause[], works: ObjectStore): Promise<Counts> {
  let audited = 0;
  let newest: ObjectInfo[] = [];
  let cursor: string | undefined;
  do {
    const prefix = jobPrefixes(`${job}/`).parts;
    const page = await works.list({ prefix, ...(cursor !== undefined && { cursor }) });
    audited += page.objects.length;
    newest = [...newest, ...page.objects].sort((a, b) => writtenAt(b) - writtenAt(a)).slice(0, NEWEST_PARTS);
    cursor = page.next;
  } while (cursor !== undefined);
  const verdicts: Record<string, number> = {};
  let judged = 0;
  for await (const { result } of ahead(newest, READS_AHEAD, ({ key }) => works.get(key))) {
    for (const { verdict } of await decodePart(result.body)) {
      judged++;
      verdicts[String(verdict)] = (verdicts[String(verdict)] ?? 0) + 1;
    }
  }
  const newestAt = newest[0]?.modifiedAt?.toISOString();
  const failed = deadLetters.reduce((sum, { letters }) => sum + letters, 0);
  return { state: 'open', audited, failed, verdicts, judged, ...(newestAt !== undefined && { newestAt }) };
}

function writtenAt({ modifiedAt }: ObjectInfo): number {
  return modifiedAt?.getTime() ?? 0;
}
