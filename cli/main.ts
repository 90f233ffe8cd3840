import { Command, Option } from 'commander';
import { endIfHung } from '#adapters/hung-threads.ts';
import { ONNX_PROVIDERS } from '#adapters/onnx-engine.ts';
import { softwareVersion } from '#adapters/software-version.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { PIPELINE_ROLES } from '#core/pipeline-roles.ts';
import { addCapacityCommands } from './capacity/commands.ts';
import { addPipelineCommands } from './cloud/commands.ts';
import type { doctor as Doctor } from './doctor.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import { addModelCommands } from './models/commands.ts';
import { addQuoteCommand } from './quote/commands.ts';
import { SETTINGS } from './settings.ts';

const EXIT_CODES = `
Exit codes:
  0    done
  1    something broke; the message says what
  2    the command, configuration, model or source is not usable as given
  3    done, but some images failed: they are in the audit table with state "failed"
  4    done, and an image has the verdict of --fail-on or a graver one
  5    no fleet that is done by --deadline was found
  130  stopped; run the same command again to go on`;

const program = new Command('sluice')
  .description(
    'Audits very many images: decodes, packs, runs an ONNX model over dense batches, gives every image a row.',
  )
  .version(softwareVersion().replace(/^sluice /, ''))
  .showHelpAfterError('(sluice --help shows how it is used)')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage));

program.commandsGroup('On this machine:');
const runCommand = program
  .command('run')
  .description('audit every image of a folder, a bucket or a manifest on this machine')
  .argument(
    '<source>',
    'a folder (with its subfolders), s3://bucket/prefix, or a text file with one key or JSON object a line',
  )
  .requiredOption('-o, --out <folder>', 'where the results go; a run that was stopped goes on from there')
  .option(
    '--root <folder>',
    "what a manifest's keys are relative to: a folder (default: the manifest's), or s3://bucket/",
  )
  .option('--config <file>', 'settings from this file (default: sluice.config.json, if there is one)')
  .option('--force', 'start over, throwing away what --out holds of an earlier run')
  .option('--json', 'print one line of JSON at the end, and nothing else to stdout')
  .option('--quiet', 'print no progress and no table')
  .action(async (source: string, flags: Record<string, unknown>) => {
    const { run } = await import('./run.ts');
    process.exitCode = await run(source, flags, process.env);
  });
addSettings(runCommand, 'Settings');
runCommand.addHelpText(
  'after',
  `
Each setting can also stand in the config file, or in the environment as SLUICE_<NAME> (SLUICE_BATCH_SIZE=32).
A flag wins over the environment, the environment over the file.

A cascade is stages, each with a model; a later one sees the boxes, or the images, that an earlier one hands on:
  {"stages": [{"name": "faces", "model": "ultraface"},
              {"name": "content", "model": "nsfwjs", "from": {"stage": "faces", "boxes": {"margin": 0.2}}}]}

Examples:
  sluice run photos --out audit
  sluice run photos --out audit --include "**/*.jpg" --exclude "drafts/**" --format csv
  sluice run catalogue.txt --root /data/images --out audit
  sluice run s3://photos/2026/ --out audit
  sluice run photos --out audit --cascade cascade.json
  sluice run photos --out audit --fail-on review --quiet     # for CI
  sluice run photos --out audit --json | tail -1             # for programs
${EXIT_CODES}`,
);

const explainCommand = program
  .command('explain')
  .description('print everything the audit sees in one image')
  .argument('<image>', 'an image file')
  .option('--config <file>', 'settings from this file')
  .option('--json', 'print it as JSON')
  .action(async (image: string, flags: Record<string, unknown>) => {
    const { explain } = await import('./explain.ts');
    process.exitCode = await explain(image, flags, process.env);
  });
addSettings(explainCommand, 'Settings', ['model', 'policy', 'maxSecondsPerRun', 'limits.']);
explainCommand.addHelpText('after', '\nExample:\n  sluice explain photos/beach.jpg\n');

program
  .command('doctor')
  .description(
    'what of this machine works, what is missing, and what to do about it; exits with 1 where something is',
  )
  .option('--pipeline <file>', 'ask for each permission on the bucket and queues of this pipeline as well')
  .addOption(
    new Option('--as <role...>', 'whose permissions these are to be')
      .choices(PIPELINE_ROLES)
      .default(PIPELINE_ROLES, 'all of them'),
  )
  .addOption(
    new Option('--provider <provider...>', 'what is wanted of this machine')
      .choices(ONNX_PROVIDERS)
      .default(['cpu']),
  )
  .option('--json', 'print one line of JSON')
  .action(async (flags: Parameters<typeof Doctor>[0]) => {
    const { doctor } = await import('./doctor.ts');
    process.exitCode = await doctor(flags, process.env);
  });
program
  .command('demo')
  .description('make a varied set of sample images, audit it, and show the results')
  .option('-o, --out <folder>', 'where samples and results go', 'sluice-demo')
  .action(async (flags: { out: string }) => {
    const { demo } = await import('./demo.ts');
    process.exitCode = await demo(flags.out);
  });

addPipelineCommands(program.commandsGroup('With a pipeline on S3 and SQS:'), process.env);
addModelCommands(program.commandsGroup('Models of your own:'));
addQuoteCommand(program.commandsGroup('What it will take and cost:'), process.env);
addCapacityCommands(program);
program.commandsGroup('Help:').helpCommand(true);

program.addHelpText('after', '\nBegin with:\n  sluice demo\n  sluice run <folder> --out audit\n');

try {
  await program.parseAsync();
} catch (error) {
  const known = error instanceof SluiceError;
  process.stderr.write(`sluice: ${messageOf(error)}\n`);
  if (!known && error instanceof Error && process.env['DEBUG']) process.stderr.write(`${error.stack}\n`);
  process.exitCode = exitCodeOf(error);
}
endIfHung();

/** Flags for the settings whose path begins with one of `only`. */
function addSettings(command: Command, heading: string, only: readonly string[] = ['']): void {
  for (const { path, flag, help } of SETTINGS) {
    if (only.some((start) => path.startsWith(start)))
      command.addOption(new Option(flag, help).helpGroup(heading));
  }
}
