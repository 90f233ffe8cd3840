import { loadPolicy } from '#adapters/model-folder.ts';
import { openPipeline } from '#adapters/pipeline.ts';
import { softwareVersion } from '#adapters/software-version.ts';
import { replayPolicy } from '#functions/finalizing/replay-policy.ts';
import { EXIT } from '../exit-codes.ts';
import { summaryTable } from '../summary-table.ts';

/** `sluice policy replay`: another policy on a complete job's stored scores. @returns the exit code. */
export async function policyReplay(
  job: string,
  flags: { pipeline?: string; policy: string },
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const { works, config } = await openPipeline(flags.pipeline, env);
  const policy = await loadPolicy(flags.policy);
  const { tableFileBytes } = config;
  const summary = await replayPolicy(
    job,
    policy,
    { softwareVersion: softwareVersion(), tableFileBytes },
    works,
  );
  process.stdout.write(`replayed as ${summary.job}: nothing was decoded, no model ran\n`);
  const place = config.work.replace(/\/?$/, '/');
  const outputs = Object.entries(summary.outputs).map(([name, key]) => [name, `${place}${key}`]);
  process.stdout.write(summaryTable(summary, Object.fromEntries(outputs)));
  return EXIT.ok;
}
