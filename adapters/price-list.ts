import { firstPaidUsd, type ListedProduct, type ListedTerms, type Selector } from '#core/cost/price-list.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { jsonMembers } from './json-members.ts';

/** AWS's public price lists. They need no credentials: "Getting price list files manually" in the AWS Billing guide. */
export const PRICE_LISTS = 'https://pricing.us-east-1.amazonaws.com';

/** A figure as a price list has it. */
export interface ListedFigure {
  readonly path: readonly string[];
  /** For the list's unit. */
  readonly usd: number;
  readonly source: string;
}

/**
 * Reads figures from the price list file of one service and region, as it comes in: of EC2's hundreds of megabytes only
 * the products that are asked for are kept. Products stand before terms in these files.
 *
 * @throws SluiceError `store-unavailable` where the list does not come, `config-invalid` for a region without one.
 */
export async function listedFigures(
  service: string,
  region: string,
  selectors: readonly Selector[],
  endpoint = PRICE_LISTS,
): Promise<ListedFigure[]> {
  const source = `${endpoint}/offers/v1.0/aws/${service}/current/${region}/index.json`;
  const wanted = new Map<string, Selector[]>();
  const figures: ListedFigure[] = [];
  try {
    const response = await fetch(source);
    if (response.status === 403 || response.status === 404) {
      throw new SluiceError(
        'config-invalid',
        `expected the prices of ${service} in "${region}" at ${source}, got status ${response.status}: ` +
          'is that the name of a region, such as eu-west-1?',
      );
    }
    if (!response.ok || response.body === null) throw new Error(`status ${response.status}`);
    const members = jsonMembers(response.body, [
      ['products', '*'],
      ['terms', 'OnDemand', '*'],
    ]);
    for await (const { path, value } of members) {
      if (path[0] === 'products') {
        const product = value as ListedProduct;
        const matching = selectors.filter((selector) => selector.matches(product));
        if (matching.length > 0) wanted.set(product.sku, matching);
        continue;
      }
      const usd = wanted.has(path[2] ?? '') ? firstPaidUsd(value as ListedTerms) : undefined;
      if (usd === undefined) continue;
      for (const selector of wanted.get(path[2] ?? '') ?? [])
        figures.push({ path: selector.path, usd, source });
    }
  } catch (cause) {
    if (cause instanceof SluiceError) throw cause;
    throw new SluiceError(
      'store-unavailable',
      `expected AWS's price list at ${source}, it did not come whole (${messageOf(cause)}): try again, or without ` +
        'a way to the internet enter the figures by hand',
      { cause, retryable: true },
    );
  }
  return figures;
}
