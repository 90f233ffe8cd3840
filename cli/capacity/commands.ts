import { type Command, Option } from 'commander';
import type { CapacityFlags } from './capacity-flags.ts';
import type { RefreshFlags } from './refresh-prices.ts';

/** The commands that reckon what a pipeline takes and costs. They need no account and no credentials. */
export function addCapacityCommands(program: Command): void {
  program
    .command('plan-capacity')
    .description('how long, with how many functions and workers, and for how much: a simulated audit on AWS')
    .requiredOption('--images <n>', 'how many: 250000, 10M, 1B')
    .option('--deadline <time>', 'find the fleet that is done by then: 90min, 8h')
    .option('--megapixels <n>', 'size of an image (default: 1)')
    .option('--image-bytes <n>', 'size of its file (default: what a JPEG of that size has)')
    .option('--region <region>', 'whose prices', 'us-east-1')
    .option('--prices <file>', "prices from here (default: the project's file of the region)")
    .option('--instance <type>', 'what workers run on', 'g4dn.xlarge')
    .addOption(
      new Option('--market <market>', 'how they are rented').choices(['spot', 'on-demand']).default('spot'),
    )
    .option('--spot-price <usd>', "an hour's price, instead of the file's")
    .addOption(
      new Option('--architecture <name>', 'what functions run on').choices(['arm64', 'x86']).default('arm64'),
    )
    .option('--measurements <file>', 'service times (JSON), instead of the defaults; any of them')
    .option('--scenario <file>', 'everything else (JSON): scaling rule, batch size, function memory, …')
    .option(
      '--concurrency <n>',
      'invocations of preprocess at a time, of each pipeline (default: 100, or by the deadline)',
    )
    .option('--max-workers <n>', 'workers at most, of each pipeline (default: what costs least)')
    .option(
      '--grow-at-packs <n>',
      'packs for each worker from which the fleet grows (default: 200, or what costs less)',
    )
    .option(
      '--max-backlog-packs <n>',
      'packs that may wait before preprocessing pauses, of each pipeline (default: as infra/ has it for so many workers)',
    )
    .option('--pack-size <n>', 'images in a pack (default: 64)')
    .option('--images-per-job <n>', 'a larger source is several jobs (default: 3M)')
    .option('--pipelines <n>', 'deployments that share the work (default: 1)')
    .option('--source-partitions <n>', 'into how many S3 has split the source bucket (default: 1)')
    .option('--interruptions <n>', 'of a spot worker, an hour (default: 0.05)')
    .option('--seed <n>', 'another night of the same kind (default: 1)')
    .option('-o, --out <folder>', 'write plots here: backlog, fleet, functions, utilisation, cost (SVG)')
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      `
Nothing is started, and no account is needed: planning, functions, queues, workers, scaling and spot interruptions are
simulated (a billion images take seconds), and priced. docs/capacity.md says what is modelled, and what is assumed.

Examples:
  sluice plan-capacity --images 10M --deadline 4h --source-partitions 4
  sluice plan-capacity --images 1B --deadline 12h --source-partitions 16 --pipelines 8 --out plots
  sluice plan-capacity --images 2M --megapixels 12 --concurrency 200 --max-workers 3 --market on-demand
  sluice plan-capacity --images 500k --instance g5.xlarge --spot-price 0.42 --measurements g5.json
  sluice plan-capacity --images 10M --json | jq .cost.usd

A file for --measurements: {"workerImageMs": 0.21, "bootS": 95, "decode": [{"megapixels": 2, "coreMs": 14, "bytes": 600000}]}
`,
    )
    .action(async (flags: CapacityFlags) => {
      const { planCapacity } = await import('./plan-capacity.ts');
      process.exitCode = await planCapacity(flags, new Date());
    });

  program
    .command('prices')
    .description('the prices that costs, quotes and plans reckon with')
    .command('refresh')
    .description(
      "fetch a region's prices from AWS's public price lists; needs the internet, and no credentials",
    )
    .requiredOption('--region <region>', 'such as eu-west-1')
    .option('--instance <type...>', 'instance types beside those that the file has', [
      'g4dn.xlarge',
      'g5.xlarge',
      'g6.xlarge',
    ])
    .option('-o, --out <file>', 'write here (default: infra/prices/<region>.json)')
    .option('--endpoint <url>', 'another place that has the price lists')
    .addHelpText(
      'after',
      `
The lists of EC2 have some hundred megabytes; they are read as they come, and not kept. Spot prices are in no list: write
them into the file by hand, or give plan-capacity a --spot-price.

Examples:
  sluice prices refresh --region us-east-1
  sluice prices refresh --region eu-central-1 --instance g4dn.2xlarge g6.2xlarge
`,
    )
    .action(async (flags: RefreshFlags) => {
      const { refreshPrices } = await import('./refresh-prices.ts');
      process.exitCode = await refreshPrices(flags, new Date());
    });
}
