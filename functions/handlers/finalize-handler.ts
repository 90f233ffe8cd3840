import type { JsonLog } from '#adapters/json-log.ts';
import { invocation, overhead } from '#adapters/meter.ts';
import type { Pipeline } from '#adapters/pipeline.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { OPEN_PREFIX, openKey } from '#core/job-layout.ts';
import type { ObjectInfo } from '#core/ports/object-store.ts';
import { type Closing, closingOf } from '../finalizing/closing.ts';
import { collectDeadLetters, LETTER_QUEUES } from '../finalizing/dead-letters.ts';
import { lastAttempt, MAX_DEATHS } from '../finalizing/finalizing-attempt.ts';
import { unclosedLiveDays } from '../finalizing/live-days.ts';
import { isLiveJob } from '../live/live-job.ts';
import type { PackProcesses } from '../preprocessing/pack-processes.ts';
import type { TimedContext } from './sqs-handler.ts';

/** The results of a job are not begun with less time than this. */
const MIN_TIME_LEFT_MS = 60_000;
/**
 * Pictures of one job that are decoded whole to find exact duplicates. A function decodes some tens to hundreds a second on
 * two cores; a job with more copies than that would keep the others waiting for hours.
 */
const MAX_COMPARED = 50_000;
/** A job that an invocation has died of is begun with no less than this share of one. */
const SHARE_AFTER_DEATH = 0.9;
/** What was sent again of a day of the live lane has this long to come to its part. */
const REOPENED_MS = 3600 * 1000;

/** What one call of the function came to. */
export interface FinalizeOutcome {
  readonly completed: readonly string[];
  readonly open: number;
  readonly deadLetters: number;
}

/**
 * The `finalize` function, called every minute: collects dead letters, completes jobs whose ranges have all come to an
 * end, and closes the live lane's days.
 */
export async function finalizeHandler(
  pipeline: Pipeline,
  processes: PackProcesses | undefined,
  log: JsonLog,
): Promise<(event: unknown, context: TimedContext) => Promise<FinalizeOutcome>> {
  const { works } = pipeline;

  const tryJob = async (job: string, timeLeftMs: () => number, timeMs: number): Promise<boolean> => {
    const { deaths = 0 } = (await lastAttempt(job, works)) ?? {};
    if (deaths >= MAX_DEATHS) {
      const hint = `too large for this function: run "sluice finalize ${job}" where there is more time and memory`;
      log.error('a job is not completed here any more', { job, deaths, hint });
      return false;
    }
    if (timeLeftMs() < Math.max(MIN_TIME_LEFT_MS, deaths > 0 ? timeMs * SHARE_AFTER_DEATH : 0)) return false;
    const closing = await closingOf(job, pipeline, {
      processes,
      maxCompared: MAX_COMPARED,
      isOutOfTime: () => timeLeftMs() < MIN_TIME_LEFT_MS,
    });
    if (closing.kind === 'closed') await works.delete([openKey(job)]);
    return closing.kind === 'over' ? complete(job, closing) : closing.kind === 'closed' && closing.isComplete;
  };

  const complete = async (job: string, closing: Closing & { kind: 'over' }): Promise<boolean> => {
    const summary = await closing.complete();
    if (summary === undefined) {
      await works.delete([openKey(job)]);
      return false;
    }
    const { planned, audited, unreadable, failed } = summary;
    log.info('a job is complete', { job, planned, audited, unreadable, failed });
    const { forbidden = 0 } = summary.refusals;
    if (forbidden > 0) {
      const hint = 'the column error_detail and the report name the permission that is missing';
      log.warn('images of a job could not be read', { job, forbidden, of: planned, hint });
    }
    return true;
  };

  const handle = async (context: TimedContext): Promise<FinalizeOutcome> => {
    const timeLeftMs = (): number => context.getRemainingTimeInMillis();
    const timeMs = timeLeftMs();
    let deadLetters = 0;
    for (const name of LETTER_QUEUES) {
      const queue = await pipeline.queue(name);
      deadLetters += await collectDeadLetters(name, await queue.deadLetterQueue(), works);
    }
    if (deadLetters > 0) log.warn('dead letters were collected', { deadLetters });
    const open = new Set<string>();
    const waiting = new Set<string>();
    for (let page = await works.list({ prefix: OPEN_PREFIX }); ; ) {
      for (const mark of page.objects) {
        const job = mark.key.slice(OPEN_PREFIX.length);
        (isLiveJob(job) && isFresh(mark) ? waiting : open).add(job);
      }
      if (page.next === undefined) break;
      page = await works.list({ prefix: OPEN_PREFIX, cursor: page.next });
    }
    for (const day of await unclosedLiveDays(works)) if (!waiting.has(day)) open.add(day);
    const completed: string[] = [];
    for (const job of open) {
      // One job that cannot be finalized must not keep the others from it.
      const look = (): Promise<boolean> =>
        overhead('finalize', () => tryJob(job, timeLeftMs, timeMs), { job });
      const isDone = await look().catch((error: unknown) => refuse(job, error));
      if (isDone) completed.push(job);
    }
    return { completed, open: open.size + waiting.size - completed.length, deadLetters };
  };
  // It is called whether there are jobs or not; what it does for one is that job's.
  return (_event, context) => invocation('finalize', () => handle(context), undefined, { idle: true });

  function refuse(job: string, error: unknown): false {
    if (error instanceof SluiceError && error.code === 'aborted')
      log.info('a job goes on with the next call', { job, reason: error.message });
    else log.error('a job could not be finalized', { job, reason: messageOf(error) });
    return false;
  }
}

function isFresh({ modifiedAt }: ObjectInfo): boolean {
  return modifiedAt !== undefined && Date.now() - modifiedAt.getTime() < REOPENED_MS;
}
