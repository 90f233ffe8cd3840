import { type Command, Option } from 'commander';
import { SETTINGS } from '../settings.ts';
import type { QuoteFlags } from './quote-flags.ts';

/** Settings of a run that change what decoding takes. */
const OF_DECODING = ['model', 'include', 'exclude', 'processes', 'limits.'];

export function addQuoteCommand(program: Command, env: Readonly<Record<string, string | undefined>>): void {
  const command = program
    .command('quote')
    .description('what auditing a source will take and cost: decodes a sample of its images, and reckons')
    .argument(
      '<source>',
      "a folder, s3://bucket/prefix, or a manifest, as for run; with --against, also an earlier quote's file",
    )
    .option('--deadline <time>', 'find the smallest fleet that is done by then: 90min, 8h')
    .option('--sample <n>', 'images to decode (default: 200, and up to 600 where they differ much)')
    .option('--seed <n>', 'another sample', '1')
    .option('--region <region>', 'whose prices', 'us-east-1')
    .option('--prices <file>', "prices from here (default: the project's file of the region)")
    .option('--instance <type>', 'what workers run on', 'g4dn.xlarge')
    .addOption(
      new Option('--market <market>', 'how they are rented').choices(['spot', 'on-demand']).default('spot'),
    )
    .option('--spot-price <usd>', "an hour's price, instead of the file's")
    .option('--source-partitions <n>', 'into how many S3 has split the source bucket (default: 1)')
    .option('--pipelines <n>', 'deployments that share the work (default: 1)')
    .option('--measurements <file>', 'service times of your own (JSON), as for plan-capacity')
    .option(
      '--against <run>',
      'hold the quote against what "sluice run" took (its --out folder), or a complete job of a pipeline (its name)',
    )
    .option('--pipeline <file>', 'the pipeline of that job (default: as for the other commands, see status)')
    .option('--root <folder>', "what a manifest's keys are relative to: a folder, or s3://bucket/")
    .option('--config <file>', 'settings from this file (default: sluice.config.json, if there is one)')
    .option('-o, --out <file>', 'write the quote here as JSON')
    .option('--json', 'print one line of JSON');
  for (const { path, flag, help } of SETTINGS) {
    if (OF_DECODING.some((start) => path.startsWith(start)))
      command.addOption(new Option(flag, help).helpGroup('Settings'));
  }
  command.addHelpText(
    'after',
    `
The source is listed. A sample, drawn at random by format and file size, is decoded on this machine, through the model's own
preprocessing, in the decoding processes of a run; their processor time is measured, so that it does not matter much what
else this machine does. A simulation of the pipeline on AWS turns it into hours and dollars. Nothing is started on AWS; of a
bucket, the keys are listed and the sample is read. docs/quote.md tells what the interval covers, and what it does not;
plan-capacity has everything else that a fleet can be told.

Examples:
  sluice quote photos
  sluice quote s3://photos/2026/ --deadline 8h --market on-demand
  sluice quote catalogue.txt --root s3://photos/ --instance g5.xlarge --spot-price 0.42 --measurements g5.json
  sluice quote photos --sample 1000 --seed 2 --json | jq .fleet.usd

How good was it?
  sluice quote photos --out quote.json
  sluice run photos --out audit
  sluice quote quote.json --against audit
  sluice quote quote.json --against backfill-20261121 --pipeline sluice.pipeline.json
`,
  );
  command.action(async (source: string, flags: QuoteFlags) => {
    const { quote } = await import('./quote.ts');
    process.exitCode = await quote(source, flags, env, new Date());
  });
}
