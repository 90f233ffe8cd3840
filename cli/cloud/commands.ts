import { type Command, Option } from 'commander';
import type { WorkerFlags } from '../worker.ts';
import type { BackfillFlags } from './backfill.ts';
import type { CostFlags } from './cost.ts';
import type { StatusFlags } from './status.ts';

const PIPELINE = [
  '--pipeline <file>',
  'what describes the pipeline (default: the variable SLUICE_PIPELINE, or sluice.pipeline.json)',
] as const;

/** The commands for a pipeline on S3 and SQS. Each is loaded when it is called: the AWS SDK takes a quarter of a second. */
export function addPipelineCommands(program: Command, env: NodeJS.ProcessEnv): void {
  program
    .command('backfill')
    .description('audit a bucket, or a part of it, with a pipeline on S3 and SQS')
    .argument(
      '<s3-url>',
      's3://bucket/prefix; or with --bucket the manifest.json of an inventory, the folder of its reports, or a list of keys',
    )
    .option(...PIPELINE)
    .option('--name <name>', 'what to call the job (default: by the time)')
    .option('--bucket <name>', 'the bucket that an inventory or a list of keys is about')
    .option('--incremental', 'only what is new or changed since the last such job; the rest is carried over')
    .option('--policy <file>', "rules on scores (JSON), instead of the pipeline's")
    .option('--include <glob...>', 'only keys that match')
    .option('--exclude <glob...>', 'no keys that match')
    .option('--suffix <suffix...>', 'only keys that end so, e.g. .jpg .png')
    .option('--min-bytes <n>', 'no smaller objects')
    .option('--max-bytes <n>', 'no larger objects')
    .option('--modified-after <date>', 'only objects written at that time or later')
    .option('--modified-before <date>', 'only objects written before that time')
    .option('--budget <amount>', 'stop feeding the job when it reaches this, e.g. 25usd (see docs/cost.md)')
    .option('--assume <file>', 'what the budget is reckoned by (JSON), as in sluice cost')
    .option('--watch', 'stay and show how it goes')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  sluice backfill s3://photos/2026/ --watch
  sluice backfill s3://photos/ --incremental --suffix .jpg .jpeg .png
  sluice backfill s3://reports/photos/daily/2026-11-20T01-00Z/manifest.json --bucket photos
  sluice backfill s3://reports/photos/daily/ --bucket photos
  sluice backfill s3://lists/to-check.txt --bucket photos
  sluice backfill s3://photos/ --budget 25usd
`,
    )
    .action(async (url: string, flags: BackfillFlags) => {
      const { backfill } = await import('./backfill.ts');
      process.exitCode = await backfill(url, flags, env);
    });

  program
    .command('status')
    .description('how far a job is, and what holds it back')
    .argument('<job>', 'its name, as backfill printed it')
    .option(...PIPELINE)
    .option('--watch', 'look again until it is complete')
    .option('--json', 'print one line of JSON for each look')
    .action(async (job: string, flags: StatusFlags) => {
      const { status } = await import('./status.ts');
      process.exitCode = await status(job, flags, env);
    });

  program
    .command('finalize')
    .description(
      'complete a job here that is over and too large for its function, or a day of the live lane again',
    )
    .argument('<job>')
    .option(...PIPELINE)
    .option('--json', 'print the summary as JSON')
    .action(async (job: string, flags: { pipeline?: string; json?: boolean }) => {
      const { finalize } = await import('./finalize.ts');
      process.exitCode = await finalize(job, flags, env);
    });

  program
    .command('redrive')
    .description("send a job's dead letters again, and say why they died")
    .argument('<job>')
    .option(...PIPELINE)
    .option('--dry-run', 'say why they died, and leave them where they are')
    .action(async (job: string, flags: { pipeline?: string; dryRun?: boolean }) => {
      const { redrive } = await import('./redrive.ts');
      process.exitCode = await redrive(job, flags, env);
    });

  program
    .command('verify')
    .description("check a complete job's results: one row for each planned image, no file changed since")
    .argument('<job>')
    .option(...PIPELINE)
    .option('--json', 'print JSON')
    .action(async (job: string, flags: { pipeline?: string; json?: boolean }) => {
      const { verify } = await import('./verify.ts');
      process.exitCode = await verify(job, flags, env);
    });

  program
    .command('report')
    .description('the summary of a complete job, and its report as a file')
    .argument('<job>')
    .option(...PIPELINE)
    .option('-o, --out <file>', 'write the report (HTML) here')
    .option('--json', 'print the summary as JSON')
    .action(async (job: string, flags: { pipeline?: string; out?: string; json?: boolean }) => {
      const { report } = await import('./report.ts');
      process.exitCode = await report(job, flags, env);
    });

  program
    .command('cost')
    .description(
      'what a job has cost, by stage and resource, what of it was for nothing, and what others would cost',
    )
    .argument('[job]', 'its name; or all jobs --since a date')
    .option(...PIPELINE)
    .option('--since <date>', 'the jobs that were completed since then, month by month')
    .option('--assume <file>', 'assumptions (JSON); the report shows all there are')
    .option('--region <region>', "whose prices (default: the region of the pipeline's queues, or us-east-1)")
    .option('--prices <file>', "prices from here (default: the project's file of the region)")
    .option('--instance <type>', "the workers' instance type (default: g4dn.xlarge)")
    .addOption(
      new Option('--market <market>', 'how it is bought (default: spot)').choices(['spot', 'on-demand']),
    )
    .option('--spot-price <usd>', "an hour's price, instead of the file's")
    .addOption(
      new Option('--architecture <name>', 'of the functions (default: arm64)').choices(['arm64', 'x86']),
    )
    .option('--memory <mb>', 'of functions that do not say theirs')
    .option('--quote <file>', "hold the job's quote against it: the --out of quote")
    .option('--csv <file>', 'write the items here; with --since, the jobs')
    .option('--html <file>', 'write the report as a page here; with --since, with a chart of the nights')
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      `
Examples:
  sluice cost backfill-20261121
  sluice cost backfill-20261121 --instance g5.xlarge --market on-demand --html cost.html
  sluice cost backfill-20261121 --assume assumptions.json --csv items.csv
  sluice cost backfill-20261121 --quote quote.json --html cost.html
  sluice cost --since 2026-11-01 --html nights.html --csv jobs.csv
`,
    )
    .action(async (job: string | undefined, flags: CostFlags) => {
      const { cost } = await import('./cost.ts');
      process.exitCode = await cost(job, flags, env);
    });

  program
    .command('budget')
    .description('give a job that was submitted with a budget another one; it goes on if there is room')
    .argument('<job>')
    .argument('<amount>', 'what it may cost in all, e.g. 40usd')
    .option(...PIPELINE)
    .addHelpText('after', '\nExample:\n  sluice budget backfill-20261121 40usd\n')
    .action(async (job: string, amount: string, flags: { pipeline?: string }) => {
      const { budget } = await import('./budget.ts');
      process.exitCode = await budget(job, amount, flags, env);
    });

  program
    .command('policy')
    .description('try policies on stored scores')
    .command('replay')
    .description('decide anew on all rows of a complete job, without decoding anything')
    .argument('<job>')
    .requiredOption('--policy <file>', 'the rules (JSON)')
    .option(...PIPELINE)
    .action(async (job: string, flags: { pipeline?: string; policy: string }) => {
      const { policyReplay } = await import('./policy-replay.ts');
      process.exitCode = await policyReplay(job, flags, env);
    });

  program
    .command('worker')
    .description('run the model over the packs of a pipeline on S3 and SQS, until SIGTERM')
    .option(...PIPELINE)
    .option('--health-port <port>', 'serve GET /health on this port')
    .option('--health-host <address>', 'on this address', '127.0.0.1')
    .option('--threads <n>', 'processor threads for the model (default: one per core)')
    .option(
      '--provider <list>',
      'what may run the model, such as tensorrt,cuda (default: as the pipeline says)',
    )
    .option('--device <n>', 'which GPU', '0')
    .option('--trtexec <command>', "TensorRT's command, which builds engines", 'trtexec')
    .action(async (flags: WorkerFlags) => {
      const { worker } = await import('../worker.ts');
      process.exitCode = await worker(flags, env);
    });
}
