import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Prices, parsePrices } from '#core/cost/prices.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { PROJECT_FOLDER } from './runtime.ts';

const FOLDER = new URL('infra/prices/', PROJECT_FOLDER);

/** Where the prices of a region lie. @throws SluiceError `config-invalid` for a name that would lead elsewhere. */
export function priceFile(region: string): string {
  if (!/^[a-z0-9-]+$/.test(region))
    throw new SluiceError('config-invalid', `expected a region such as us-east-1, got "${region}"`);
  return fileURLToPath(new URL(`${region}.json`, FOLDER));
}

/**
 * @param file instead of the region's own.
 * @throws SluiceError `config-invalid` for a region without a file, which names those that have one, and for what is no region.
 */
export async function readPrices(
  region: string,
  file = priceFile(region),
  now = new Date(),
): Promise<Prices> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    const regions = (await readdir(FOLDER).catch(() => [])).map((name) => basename(name, '.json'));
    throw new SluiceError(
      'config-invalid',
      `expected the prices of ${region} in ${file}, found none; there are prices of ${regions.join(', ') || 'no region'}. ` +
        `Fetch them with: sluice prices refresh --region ${region}`,
      { cause },
    );
  }
  try {
    return parsePrices(JSON.parse(text), { region, file, now });
  } catch (cause) {
    if (cause instanceof SluiceError) throw cause;
    throw new SluiceError('config-invalid', `${file} is no JSON: ${messageOf(cause)}`, { cause });
  }
}
