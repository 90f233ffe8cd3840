import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A product of a fake price list: its attributes, and its tiers as [beginRange, US dollars]. */
export interface FakeProduct {
  readonly attributes: Readonly<Record<string, string>>;
  readonly tiers: readonly (readonly [string, string])[];
}

/**
 * Serves price list files of the form that "Reading the service price list file for an AWS service" in the AWS Billing
 * guide describes, on 127.0.0.1: products first, then terms, on demand and reserved.
 */
export async function fakePriceLists(
  region: string,
  services: Readonly<Record<string, readonly FakeProduct[]>>,
): Promise<{ endpoint: string; asked: string[] } & AsyncDisposable> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    const [, service = '', of] =
      /^\/offers\/v1\.0\/aws\/(\w+)\/current\/([a-z0-9-]+)\/index\.json$/.exec(request.url ?? '') ?? [];
    const products = of === region ? services[service] : undefined;
    if (products === undefined) {
      response.writeHead(403).end('<Error><Code>AccessDenied</Code></Error>');
      return;
    }
    const text = JSON.stringify(priceList(service, products), undefined, 2);
    // In pieces that cut through strings and numbers.
    for (let i = 0; i < text.length; i += 97) response.write(text.slice(i, i + 97));
    response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function priceList(service: string, products: readonly FakeProduct[]): unknown {
  const skus = products.map((product, i) => ({ ...product, sku: `SKU${service}${i}` }));
  const terms = ({ sku, tiers }: (typeof skus)[number]): [string, unknown] => [
    sku,
    {
      [`${sku}.JRTCKXETXF`]: {
        offerTermCode: 'JRTCKXETXF',
        sku,
        effectiveDate: '2026-11-01T00:00:00Z',
        priceDimensions: Object.fromEntries(
          tiers.map(([beginRange, usd], tier) => [
            `${sku}.JRTCKXETXF.${tier}`,
            {
              rateCode: `${sku}.JRTCKXETXF.${tier}`,
              description: `{"tricky": "]}, \\", ${usd}"}`,
              beginRange,
              endRange: 'Inf',
              unit: 'Units',
              pricePerUnit: { USD: usd },
              appliesTo: [],
            },
          ]),
        ),
        termAttributes: {},
      },
    },
  ];
  return {
    formatVersion: 'v1.0',
    disclaimer: 'This pricing list is for informational purposes only.',
    offerCode: service,
    version: '20261101000000',
    publicationDate: '2026-11-01T00:00:00Z',
    products: Object.fromEntries(
      skus.map(({ sku, attributes }) => [sku, { sku, productFamily: 'Any', attributes }]),
    ),
    terms: {
      OnDemand: Object.fromEntries(skus.map(terms)),
      Reserved: {
        [skus[0]?.sku ?? '']: { any: { priceDimensions: { a: { pricePerUnit: { USD: '0.0001' } } } } },
      },
    },
    attributesList: {},
  };
}
