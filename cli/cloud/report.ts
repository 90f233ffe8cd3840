import { writeFile } from 'node:fs/promises';
import { openPipeline } from '#adapters/pipeline.ts';
import { SluiceError } from '#core/error.ts';
import { Summary } from '#core/summary.ts';
import { completionOf, RESULTS_PREFIX } from '#functions/finalizing/complete-job.ts';
import { EXIT } from '../exit-codes.ts';
import { summaryTable } from '../summary-table.ts';

/** `sluice report`: a complete job's summary, and its report as a file here. @returns the exit code. */
export async function report(
  job: string,
  flags: { pipeline?: string; out?: string; json?: boolean },
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const { works, config } = await openPipeline(flags.pipeline, env);
  await completionOf(job, works);
  const { body } = await works.get(`${RESULTS_PREFIX}jobs/${job}/summary.json`);
  const summary = Summary.parse(JSON.parse(body.toString('utf8')));
  const outputs: Record<string, string> = Object.fromEntries(
    Object.entries(summary.outputs).map(([name, key]) => [name, `${config.work.replace(/\/?$/, '/')}${key}`]),
  );
  if (flags.out !== undefined) {
    const page = await works.get(summary.outputs['report'] ?? '');
    await writeFile(flags.out, page.body).catch((cause: unknown) => {
      throw new SluiceError('config-invalid', `cannot write "${flags.out}": ${String(cause)}`, { cause });
    });
    outputs['report'] = flags.out;
  }
  if (flags.json === true) process.stdout.write(`${JSON.stringify(summary)}\n`);
  else process.stdout.write(summaryTable(summary, outputs));
  return EXIT.ok;
}
