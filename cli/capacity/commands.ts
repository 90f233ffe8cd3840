import type { Command } from 'commander';
import type { RefreshFlags } from './refresh-prices.ts';

/** The commands that reckon what a pipeline takes and costs. They need no account and no credentials. */
export function addCapacityCommands(program: Command): void {
  program
    .command('prices')
    .description('the prices that plan-capacity reckons with')
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
