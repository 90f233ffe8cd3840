import { openPipeline } from '#adapters/pipeline.ts';
import { SluiceError } from '#core/error.ts';
import { closingOf } from '#functions/finalizing/closing.ts';
import { collectDeadLetters, LETTER_QUEUES } from '#functions/finalizing/dead-letters.ts';
import { lambdaDecoders } from '#functions/lambda/context.ts';
import { EXIT } from '../exit-codes.ts';
import { summaryTable } from '../summary-table.ts';

/** `sluice finalize`: completes a job here, without the time limit of a function. @returns the exit code. */
export async function finalize(
  job: string,
  flags: { pipeline?: string; json?: boolean },
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const pipeline = await openPipeline(flags.pipeline, env);
  for (const name of LETTER_QUEUES) {
    await collectDeadLetters(name, await (await pipeline.queue(name)).deadLetterQueue(), pipeline.works);
  }
  await using processes = lambdaDecoders(pipeline);
  const closing = await closingOf(job, pipeline, { processes });
  if (closing.kind === 'under-way') {
    throw new SluiceError('job-conflict', `${closing.why}: "sluice status ${job}" tells when it is over`);
  }
  if (closing.kind === 'closed') {
    if (!closing.isComplete) throw new SluiceError('job-conflict', closing.why);
    process.stdout.write(`${closing.why} already\n`);
    return EXIT.ok;
  }
  const summary = await closing.complete();
  if (summary === undefined) throw new SluiceError('job-conflict', `nothing came on the day of "${job}"`);
  if (flags.json === true) process.stdout.write(`${JSON.stringify(summary)}\n`);
  else {
    const place = pipeline.config.work.replace(/\/?$/, '/');
    const outputs = Object.entries(summary.outputs).map(([name, key]) => [name, `${place}${key}`]);
    process.stdout.write(summaryTable(summary, Object.fromEntries(outputs)));
  }
  return summary.failed > 0 ? EXIT.someFailed : EXIT.ok;
}
