import type { JsonLog } from '#adapters/json-log.ts';
import { invocation, overhead } from '#adapters/meter.ts';
import type { Pipeline } from '#adapters/pipeline.ts';
import { softwareVersion } from '#adapters/software-version.ts';
import { messageOf } from '#core/error.ts';
import { completionKey, OPEN_PREFIX, openKey } from '#core/job-layout.ts';
import { type JobRules, plannedStages, rulesOf } from '#core/stages.ts';
import { completeJob } from '../finalizing/complete-job.ts';
import { collectDeadLetters, LETTER_QUEUES } from '../finalizing/dead-letters.ts';
import { jobState } from '../finalizing/job-state.ts';
import { liveDay } from '../finalizing/live-day.ts';
import { liveJob } from '../live/ingest-image.ts';
import type { PackProcesses } from '../preprocessing/pack-processes.ts';
import type { TimedContext } from './sqs-handler.ts';

/** The results of a job are not begun with less time than this. */
const MIN_TIME_LEFT_MS = 60_000;
const DAY_MS = 24 * 3600 * 1000;
/** An event may come late; a day of the live lane is closed this long after it ended. */
const LATE_EVENTS_MS = 2 * 3600 * 1000;

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
  const { works, config } = pipeline;
  const stages = await pipeline.stages();
  const options = (rules: JobRules) => ({
    ...rules,
    softwareVersion: softwareVersion(),
    tableFileBytes: config.tableFileBytes,
  });
  const thumbnail = (bucket: string | null) => async (key: string, maxSidePx: number) =>
    bucket === null ? undefined : processes?.thumbnail({ kind: 's3', bucket, prefix: '' }, key, maxSidePx);

  const tryJob = async (job: string): Promise<boolean> => {
    const state = await jobState(job, works);
    if (state.kind === 'complete' || state.kind === 'broken' || state.kind === 'unknown') {
      await works.delete([openKey(job)]);
      return state.kind === 'complete';
    }
    if (state.kind !== 'running' || !state.progress.isOver) return false;
    const { summary } = await completeJob(
      state.plan,
      state.request,
      options(rulesOf(stages, state.request.policy)),
      {
        works,
        reasonOf: state.progress.reasonOf,
        lostUsage: state.progress.lostUsage,
        thumbnail: thumbnail(state.plan.bucket),
      },
    );
    const { planned, audited, unreadable, failed } = summary;
    log.info('a job is complete', { job, planned, audited, unreadable, failed });
    return true;
  };

  const tryLiveDay = async (): Promise<string[]> => {
    const job = liveJob(new Date(Date.now() - DAY_MS - LATE_EVENTS_MS).toISOString());
    if ((await works.head(completionKey(job))) !== undefined) return [];
    const day = await liveDay(job, plannedStages(stages).stage, works);
    if (day === undefined) return [];
    await completeJob(day.plan, undefined, options({ policy: stages.first.policy }), {
      works,
      reasonOf: () => '',
      thumbnail: async () => undefined,
      records: day.records,
    });
    return [job];
  };

  const handle = async (context: TimedContext): Promise<FinalizeOutcome> => {
    let deadLetters = 0;
    for (const name of LETTER_QUEUES) {
      const queue = await pipeline.queue(name);
      deadLetters += await collectDeadLetters(name, await queue.deadLetterQueue(), works);
    }
    const completed: string[] = [];
    let open = 0;
    for (let page = await works.list({ prefix: OPEN_PREFIX }); ; ) {
      for (const { key } of page.objects) {
        const job = key.slice(OPEN_PREFIX.length);
        const hasTime = context.getRemainingTimeInMillis() >= MIN_TIME_LEFT_MS;
        // One job that cannot be finalized must not keep the others from it.
        const look = () => overhead('finalize', () => tryJob(job), { job });
        const done = hasTime && (await look().catch((error) => refuse(job, error)));
        if (done) completed.push(job);
        else open++;
      }
      if (page.next === undefined) break;
      page = await works.list({ prefix: OPEN_PREFIX, cursor: page.next });
    }
    if (context.getRemainingTimeInMillis() >= MIN_TIME_LEFT_MS) completed.push(...(await tryLiveDay()));
    if (deadLetters > 0) log.warn('dead letters were collected', { deadLetters });
    return { completed, open, deadLetters };
  };
  // It is called whether there are jobs or not; what it does for one is that job's.
  return (_event, context) => invocation('finalize', () => handle(context), undefined, { idle: true });

  function refuse(job: string, error: unknown): false {
    log.error('a job could not be finalized', { job, reason: messageOf(error) });
    return false;
  }
}
