import { relative, resolve } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import type { Summary } from '#core/summary.ts';
import { EXIT } from './exit-codes.ts';
import { openJobSource } from './job-source.ts';
import { runLocalJob } from './local-job.ts';
import { progressFor } from './progress.ts';
import { readConfig } from './read-config.ts';
import { stopOnSignals } from './stop-signal.ts';
import { summaryTable } from './summary-table.ts';

/** `sluice run`. @returns the exit code. */
export async function run(
  sourcePath: string,
  flags: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  // V8 doubles the room for new objects again and again while a job goes on. Where it does not, 2,000 images take 30 to 50 MB
  // less, and no more time.
  setFlagsFromString('--semi-space-growth-factor=1');
  const config = await readConfig({ flags, env, file: flags['config'] as string | undefined });
  const source = await openJobSource(sourcePath, flags['root'] as string | undefined);
  const out = resolve(flags['out'] as string);
  const quiet = flags['quiet'] === true;
  const progress = progressFor({ quiet });
  using stop = stopOnSignals((text) => process.stderr.write(text));
  const result = await runLocalJob(
    { source, out, config, force: flags['force'] === true },
    progress,
    stop.signal,
  ).finally(() => progress.end());
  if (result.kind === 'stopped') {
    process.stderr.write('stopped; run the same command again to go on from here\n');
    return EXIT.stopped;
  }
  const { summary } = result;
  if (flags['json'] === true) process.stdout.write(`${JSON.stringify(jsonLine(summary, out))}\n`);
  else if (!quiet) process.stdout.write(summaryTable(summary, outputPaths(summary, out)));
  if ([summary, ...(summary.stages ?? [])].some(({ failed }) => failed > 0)) return EXIT.someFailed;
  return verdictReached(summary, config.failOn) ? EXIT.verdict : EXIT.ok;
}

/** The one line that programs read. */
function jsonLine(summary: Summary, out: string): object {
  const { job, planned, audited, unreadable, failed, verdicts, seconds, imagesPerSecond } = summary;
  const outputs = outputPaths(summary, out);
  const stages = summary.stages?.map(({ stage, planned, audited, unreadable, failed }) => ({
    stage,
    planned,
    audited,
    unreadable,
    failed,
  }));
  return {
    job,
    planned,
    audited,
    unreadable,
    failed,
    ...(stages && { stages }),
    verdicts,
    sourceProblemCount: summary.sourceProblemCount,
    seconds,
    imagesPerSecond,
    outputs,
  };
}

/** Where the results lie, as a person would type it from here. */
function outputPaths(summary: Summary, out: string): Record<string, string> {
  const folder = relative(process.cwd(), out);
  const shown = folder.startsWith('..') ? out : folder;
  return Object.fromEntries(
    Object.entries(summary.outputs).map(([name, file]) => [name, shown === '' ? file : `${shown}/${file}`]),
  );
}

function verdictReached(summary: Summary, failOn: 'review' | 'reject' | undefined): boolean {
  const { review, reject } = summary.verdicts;
  if (failOn === undefined) return false;
  return reject > 0 || (failOn === 'review' && review > 0);
}
