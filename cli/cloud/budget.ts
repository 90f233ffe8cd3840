import { openPipeline } from '#adapters/pipeline.ts';
import { parseUsd } from '#core/budget.ts';
import { changeBudget } from '#functions/planning/change-budget.ts';
import { EXIT } from '../exit-codes.ts';

/** `sluice budget`: another budget for a job, which is fed again. @returns the exit code. */
export async function budget(
  job: string,
  amount: string,
  flags: { pipeline?: string },
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const usd = parseUsd(amount);
  const pipeline = await openPipeline(flags.pipeline, env);
  await changeBudget(job, usd, { works: pipeline.works, jobs: await pipeline.queue('jobs') });
  process.stdout.write(`${job} may cost $${usd} in all; see how it goes on: sluice status ${job} --watch\n`);
  return EXIT.ok;
}
