import { openPipeline } from '#adapters/pipeline.ts';
import { verifyJob } from '#functions/finalizing/verify-job.ts';
import { EXIT } from '../exit-codes.ts';

/** `sluice verify`: a complete job's results against its proof. @returns the exit code. */
export async function verify(
  job: string,
  flags: { pipeline?: string; json?: boolean },
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const pipeline = await openPipeline(flags.pipeline, env);
  const { completion, problems, unchecked } = await verifyJob(job, pipeline.works);
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify({ job, problems, unchecked, completion })}\n`);
  } else {
    const { planned, audited, unreadable, failed, parts, tables } = completion;
    process.stdout.write(
      `${job}: ${planned} planned = ${audited} audited + ${unreadable} unreadable + ${failed} failed\n` +
        `${tables.length} file(s) of the table, ${parts.count} parts, digest ${parts.digest}\n`,
    );
    for (const note of unchecked) process.stdout.write(`not checked: ${note}\n`);
    for (const problem of problems) process.stdout.write(`WRONG: ${problem}\n`);
    if (problems.length === 0)
      process.stdout.write('whole: one row for each planned image, nothing changed since\n');
  }
  return problems.length === 0 ? EXIT.ok : EXIT.error;
}
