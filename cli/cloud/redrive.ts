import { openPipeline } from '#adapters/pipeline.ts';
import { collectDeadLetters, LETTER_QUEUES } from '#functions/finalizing/dead-letters.ts';
import { deathCauses, redriveJob } from '#functions/finalizing/redrive.ts';
import { EXIT } from '../exit-codes.ts';

export interface RedriveFlags {
  readonly pipeline?: string;
  readonly dryRun?: boolean;
}

/** `sluice redrive`: dead letters of a job back into their queues. @returns the exit code. */
export async function redrive(
  job: string,
  flags: RedriveFlags,
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const pipeline = await openPipeline(flags.pipeline, env);
  for (const name of LETTER_QUEUES) {
    const letters = await (await pipeline.queue(name)).deadLetterQueue();
    await collectDeadLetters(name, letters, pipeline.works);
  }
  const { works } = pipeline;
  const causes =
    flags.dryRun === true
      ? await deathCauses(job, works)
      : await redriveJob(job, { works, queue: (name) => pipeline.queue(name) });
  const where = flags.dryRun === true ? 'of' : 'back into';
  if (causes.length === 0) process.stdout.write(`${job} has no dead letters\n`);
  for (const { queue, reason, letters } of causes) {
    process.stdout.write(`${String(letters).padStart(6)} ${where} ${queue}: ${reason}\n`);
  }
  return EXIT.ok;
}
