import { setTimeout as sleep } from 'node:timers/promises';
import { openPipeline, type Pipeline } from '#adapters/pipeline.ts';
import { SluiceError } from '#core/error.ts';
import { isLiveJob } from '#functions/live/live-job.ts';
import { EXIT } from '../exit-codes.ts';
import { liveDayLines } from './live-day-lines.ts';
import { type LiveDayStatus, liveDayStatus } from './live-day-status.ts';
import { type PipelineStatus, pipelineStatus } from './pipeline-status.ts';
import { statusLines } from './status-lines.ts';

export interface StatusFlags {
  pipeline?: string;
  watch?: boolean;
  json?: boolean;
}

const WATCH_EVERY_MS = 2_000;
/** Parts come by batches and packs: the pace of two seconds says little about the next hour. */
const PACE_OVER_MS = 120_000;
/** Looking must stay a small share of the time: a big job's parts take seconds to list. */
const REST_PER_LOOK = 5;
const CLEAR = '\u001B[2K';

/** `sluice status`. @returns the exit code. */
export async function status(
  job: string,
  flags: StatusFlags,
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const pipeline = await openPipeline(flags.pipeline, env);
  const looks: (PipelineStatus | LiveDayStatus)[] = [];
  let shownLines = 0;
  for (;;) {
    const startedMs = performance.now();
    const now = await look(job, pipeline);
    if (flags.json === true) {
      process.stdout.write(`${JSON.stringify(now)}\n`);
    } else {
      const lines =
        'day' in now ? liveDayLines(now) : statusLines(now, looks[0] as PipelineStatus | undefined);
      // On a terminal the lines stay where they are; elsewhere each look adds its own.
      if (process.stdout.isTTY && shownLines > 0) process.stdout.write(`\u001B[${shownLines}A`);
      process.stdout.write(lines.map((line) => `${process.stdout.isTTY ? CLEAR : ''}${line}\n`).join(''));
      shownLines = lines.length;
    }
    if (now.state === 'complete') return now.failed > 0 ? EXIT.someFailed : EXIT.ok;
    if (now.state === 'broken') return EXIT.error;
    if (flags.watch !== true) return EXIT.ok;
    // Nothing comes any more until somebody gives it another budget.
    if ('budget' in now && now.budget?.isHeld === true) return EXIT.error;
    looks.push(now);
    while (Date.parse(now.at) - Date.parse(looks[0]?.at ?? now.at) > PACE_OVER_MS && looks.length > 1)
      looks.shift();
    await sleep(Math.max(WATCH_EVERY_MS, (performance.now() - startedMs) * REST_PER_LOOK));
  }
}

async function look(job: string, pipeline: Pipeline): Promise<PipelineStatus | LiveDayStatus> {
  if (isLiveJob(job)) return liveDayStatus(job, pipeline);
  const now = await pipelineStatus(job, pipeline);
  if (now !== undefined) return now;
  throw new SluiceError(
    'job-conflict',
    `there is no job "${job}" in ${pipeline.config.work}: names are printed by "sluice backfill"`,
  );
}
