import type { Prices } from './prices.ts';

/**
 * A product of a service's price list file, as far as it is looked at. The form is that of "Reading the service price
 * list file for an AWS service" in the AWS Billing guide.
 */
export interface ListedProduct {
  readonly sku: string;
  readonly productFamily?: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** The terms of a product on demand: by offer term, then by rate. */
export type ListedTerms = Readonly<
  Record<
    string,
    {
      readonly priceDimensions: Readonly<
        Record<
          string,
          {
            readonly unit?: string;
            readonly beginRange?: string;
            readonly pricePerUnit: Readonly<Record<string, string>>;
          }
        >
      >;
    }
  >
>;

/** Where a figure of a price file stands in AWS's price lists. */
export interface Selector {
  /** Its place in the price file: "lambda.arm64". */
  readonly path: readonly string[];
  /** The service's code in the price lists. */
  readonly service: string;
  readonly per: string;
  /** From the list's unit (one request) to ours (a million). */
  readonly times: number;
  matches(product: ListedProduct): boolean;
}

/** Usage types have the region's code before them, everywhere but in us-east-1: "EUW1-Requests-Tier1". */
function usage(product: ListedProduct, type: string): boolean {
  const given = product.attributes['usagetype'] ?? '';
  return given === type || new RegExp(`^[A-Z]{2,4}\\d?-${escaped(type)}$`).test(given);
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\:]/g, '\\$&');
}

function byUsage(path: string, service: string, type: string, per: string, times = 1): Selector {
  return { path: path.split('.'), service, per, times, matches: (product) => usage(product, type) };
}

const MILLION = 1e6;
const THOUSAND = 1e3;

const ALWAYS: readonly Selector[] = [
  byUsage('lambda.x86', 'AWSLambda', 'Lambda-GB-Second', 'GB-second'),
  byUsage('lambda.arm64', 'AWSLambda', 'Lambda-GB-Second-ARM', 'GB-second'),
  byUsage('lambda.requests', 'AWSLambda', 'Request', 'million requests', MILLION),
  byUsage('sqs.standard', 'AWSQueueService', 'Requests-Tier1', 'million requests', MILLION),
  byUsage('s3.put', 'AmazonS3', 'Requests-Tier1', 'thousand requests', THOUSAND),
  byUsage('s3.list', 'AmazonS3', 'Requests-Tier1', 'thousand requests', THOUSAND),
  byUsage('s3.get', 'AmazonS3', 'Requests-Tier2', 'thousand requests', THOUSAND),
  byUsage('s3.storage', 'AmazonS3', 'TimedStorage-ByteHrs', 'GB-month'),
  byUsage('ebs.gp3', 'AmazonEC2', 'EBS:VolumeUsage.gp3', 'GB-month'),
  byUsage('network.publicIpv4', 'AmazonVPC', 'PublicIPv4:InUseAddress', 'hour'),
  byUsage('network.interfaceEndpoint', 'AmazonVPC', 'VpcEndpoint-Hours', 'hour'),
  byUsage('network.interfaceEndpointData', 'AmazonVPC', 'VpcEndpoint-Bytes', 'GB'),
  byUsage('cloudwatch.logs', 'AmazonCloudWatch', 'DataProcessing-Bytes', 'GB'),
  byUsage('cloudwatch.metric', 'AmazonCloudWatch', 'CW:MetricMonitorUsage', 'month'),
  byUsage('cloudwatch.alarm', 'AmazonCloudWatch', 'CW:AlarmMonitorUsage', 'month'),
];

/** What is looked up for a price file with these instance types. */
export function selectorsFor(instanceTypes: readonly string[]): Selector[] {
  return [...ALWAYS, ...instanceTypes.map(instanceSelector)];
}

/** An hour of an instance as most people rent it: Linux without licences, on shared hardware. */
function instanceSelector(type: string): Selector {
  return {
    path: ['instances', type, 'onDemand'],
    service: 'AmazonEC2',
    per: 'hour',
    times: 1,
    matches: ({ attributes }) =>
      attributes['instanceType'] === type &&
      attributes['operatingSystem'] === 'Linux' &&
      attributes['tenancy'] === 'Shared' &&
      attributes['capacitystatus'] === 'Used' &&
      attributes['preInstalledSw'] === 'NA',
  };
}

/** US dollars for the first units that cost something: later tiers are cheaper, and those before are free. */
export function firstPaidUsd(terms: ListedTerms): number | undefined {
  const paid = Object.values(terms)
    .flatMap(({ priceDimensions }) => Object.values(priceDimensions))
    .map(({ beginRange, pricePerUnit }) => ({
      from: Number(beginRange ?? 0),
      usd: Number(pricePerUnit['USD']),
    }))
    .filter(({ usd }) => usd > 0)
    .sort((a, b) => a.from - b.from);
  return paid[0]?.usd;
}

/** What was found in the price lists, and what was not and stays as it was. */
export interface RefreshedPrices {
  readonly prices: unknown;
  readonly found: readonly string[];
  readonly kept: readonly string[];
}

/**
 * Puts figures into a price file.
 *
 * @param before the file as it is; a new one begins empty.
 */
export function withFigures(
  before: Readonly<Record<string, unknown>> | undefined,
  region: Prices['region'],
  selectors: readonly Selector[],
  figures: readonly { path: readonly string[]; usd: number; source: string }[],
  asOf: string,
): RefreshedPrices {
  const prices = structuredClone(before ?? {}) as Record<string, unknown>;
  prices['v'] = 1;
  prices['region'] = region;
  const found: string[] = [];
  const kept: string[] = [];
  for (const { path, per, times } of selectors) {
    const name = path.join(' ');
    const figure = figures.find((candidate) => candidate.path.join(' ') === name);
    if (figure === undefined) {
      kept.push(name);
      continue;
    }
    found.push(name);
    // Twelve digits: a billionth of a dollar times a million is not to end in …0000001.
    const usd = Number((figure.usd * times).toPrecision(12));
    set(prices, path, { usd, per, asOf, source: figure.source });
  }
  return { prices, found, kept };
}

function set(into: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [first = '', ...rest] = path;
  if (rest.length === 0) {
    into[first] = value;
    return;
  }
  into[first] ??= {};
  set(into[first] as Record<string, unknown>, rest, value);
}
