import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { priceFile, readPrices } from '#adapters/price-files.ts';
import { type ListedFigure, listedFigures, PRICE_LISTS } from '#adapters/price-list.ts';
import { selectorsFor, withFigures } from '#core/cost/price-list.ts';
import { parsePrices } from '#core/cost/prices.ts';
import { EXIT } from '../exit-codes.ts';

export interface RefreshFlags {
  readonly region: string;
  readonly instance: readonly string[];
  readonly out?: string;
  readonly endpoint?: string;
}

/** `sluice prices refresh`: a region's prices from AWS's public price lists into its file. @returns the exit code. */
export async function refreshPrices(flags: RefreshFlags, now: Date): Promise<number> {
  const { region, endpoint = PRICE_LISTS } = flags;
  const file = flags.out ?? priceFile(region);
  const before: Record<string, unknown> | undefined = existsSync(file)
    ? await readPrices(region, file)
    : undefined;
  const known = Object.keys((before?.['instances'] as object | undefined) ?? {});
  const selectors = selectorsFor([...new Set([...known, ...flags.instance])]);
  const services = [...new Set(selectors.map(({ service }) => service))];
  const figures: ListedFigure[] = [];
  // One after the other: EC2's list alone has hundreds of megabytes.
  for (const service of services) {
    process.stderr.write(`reading the prices of ${service} in ${region}\n`);
    const own = selectors.filter((selector) => selector.service === service);
    figures.push(...(await listedFigures(service, region, own, endpoint)));
  }
  const asOf = now.toISOString().slice(0, 10);
  const { prices, found, kept } = withFigures(before, region, selectors, figures, asOf);
  // A new region lacks what no list has: then this says what, and nothing is written.
  parsePrices(prices, { region, file });
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(prices, undefined, 2)}\n`);
  process.stdout.write(`${file}: ${found.length} figures as of ${asOf}\n`);
  if (kept.length > 0)
    process.stdout.write(`not in the price lists, kept as they were: ${kept.join(', ')}\n`);
  process.stdout.write(
    'spot prices, data transfer and the prices of alternatives are kept too: look at them yourself\n',
  );
  return EXIT.ok;
}
