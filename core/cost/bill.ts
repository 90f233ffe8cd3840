import { type DeployedTerms, IDLE_FINALIZATION_S, IDLE_FINALIZATION_SQS_REQUESTS } from './deployed-terms.ts';
import { instanceHour, type Prices, SQS_CHUNK_BYTES, type Tiers } from './prices.ts';

/** What a fleet has used. All of it is counted from zero and only grows. */
export interface Usage {
  /** Of all invocations. */
  readonly lambdaSeconds: number;
  readonly lambdaGbSeconds: number;
  readonly lambdaInvocations: number;
  readonly sqsRequests: number;
  readonly s3Puts: number;
  readonly s3Gets: number;
  readonly s3Lists: number;
  /** Bytes that lay in S3, times the seconds they lay there. */
  readonly s3ByteSeconds: number;
  /** From launch to termination, over all workers. */
  readonly workerSeconds: number;
  readonly logBytes: number;
  /** How long the pipeline was watched: alarms and metrics cost by the month. */
  readonly seconds: number;
}

/** What so many pipelines use that all do the same. */
export function timesUsage(usage: Usage, pipelines: number): Usage {
  const entries = Object.entries(usage).map(([name, amount]) => [name, amount * pipelines]);
  return Object.fromEntries(entries) as unknown as Usage;
}

/** What the prices apply to. */
export interface BillTerms {
  readonly instanceType: string;
  readonly market: 'spot' | 'on-demand';
  /** Instead of the price file's. */
  readonly spotHourUsd?: number | undefined;
  readonly architecture: 'arm64' | 'x86';
  /** Root volume of a worker, in GB. */
  readonly volumeGb: number;
  /** Whether each worker has a public IPv4 address. */
  readonly publicIpv4: boolean;
  /** What is there whether there are images or not. */
  readonly deployed: DeployedTerms;
  /** Of `finalize`. */
  readonly finalizeMemoryMib: number;
}

export interface BillItem {
  readonly item: string;
  /** How it came about: "47.3 worker hours at $0.19". */
  readonly detail: string;
  readonly usd: number;
}

/** AWS bills months of 730 hours. */
const MONTH_SECONDS = 730 * 3600;
const GB = 1e9;
/** S3 and EBS count binary gigabytes. */
const GIB = 2 ** 30;

/** What a usage costs, item by item, the dearest first. Free tiers and discounts are left out. */
export function bill(usage: Usage, terms: BillTerms, prices: Prices): BillItem[] {
  const { lambda, sqs, s3, ebs, network, cloudwatch } = prices;
  const given = terms.market === 'spot' ? terms.spotHourUsd : undefined;
  const hour = given === undefined ? instanceHour(prices, terms.instanceType, terms.market) : undefined;
  const hourUsd = given ?? hour?.price.usd ?? 0;
  const hours = usage.workerSeconds / 3600;
  const gbSecondUsd = lambda[terms.architecture].usd;
  const items: BillItem[] = [
    {
      item: 'Lambda compute',
      detail: `${round(usage.lambdaGbSeconds)} GB-s (${terms.architecture}) at $${gbSecondUsd}`,
      usd: usage.lambdaGbSeconds * gbSecondUsd,
    },
    {
      item: 'Lambda requests',
      detail: `${round(usage.lambdaInvocations)} at $${lambda.requests.usd} a million`,
      usd: (usage.lambdaInvocations / 1e6) * lambda.requests.usd,
    },
    {
      item: 'GPU workers',
      detail: `${hours.toFixed(1)} hours of ${terms.instanceType} (${hour?.market ?? terms.market}) at $${hourUsd}`,
      usd: hours * hourUsd,
    },
    {
      item: "workers' volumes",
      detail: `${terms.volumeGb} GB of gp3 each`,
      usd: (usage.workerSeconds / MONTH_SECONDS) * terms.volumeGb * ebs.gp3.usd,
    },
    {
      item: 'public IPv4',
      detail: terms.publicIpv4 ? `one a worker at $${network.publicIpv4.usd} an hour` : 'none',
      usd: terms.publicIpv4 ? hours * network.publicIpv4.usd : 0,
    },
    {
      item: 'S3 writes',
      detail: `${round(usage.s3Puts)} PUT at $${s3.put.usd} a thousand`,
      usd: (usage.s3Puts / 1000) * s3.put.usd,
    },
    {
      item: 'S3 reads',
      detail: `${round(usage.s3Gets)} GET and HEAD at $${s3.get.usd} a thousand`,
      usd: (usage.s3Gets / 1000) * s3.get.usd,
    },
    {
      item: 'S3 listing',
      detail: `${round(usage.s3Lists)} LIST at $${s3.list.usd} a thousand`,
      usd: (usage.s3Lists / 1000) * s3.list.usd,
    },
    {
      item: 'S3 storage of packs',
      detail: `while they wait, at $${s3.storage.usd} a GB-month`,
      usd: (usage.s3ByteSeconds / GIB / MONTH_SECONDS) * s3.storage.usd,
    },
    {
      item: 'SQS',
      detail: `${round(usage.sqsRequests)} requests at $${sqs.standard.usd} a million`,
      usd: (usage.sqsRequests / 1e6) * sqs.standard.usd,
    },
    {
      item: 'CloudWatch Logs',
      detail: `${(usage.logBytes / GB).toFixed(2)} GB at $${cloudwatch.logs.usd}`,
      usd: (usage.logBytes / GB) * cloudwatch.logs.usd,
    },
    ...deployedItems(usage.seconds, terms, prices),
  ];
  return items.filter(({ usd }) => usd > 0).sort((a, b) => b.usd - a.usd);
}

/** What a pipeline costs for as long as it is there, or is used. */
function deployedItems(
  seconds: number,
  { deployed, architecture, finalizeMemoryMib }: BillTerms,
  { lambda, sqs, cloudwatch }: Prices,
): BillItem[] {
  const { alarmMetrics, workerMetrics, dashboards, emptyPollsPerHour, finalizationsPerHour } = deployed;
  const months = seconds / MONTH_SECONDS;
  const hours = seconds / 3600;
  const polls = hours * emptyPollsPerHour;
  const finalizations = hours * finalizationsPerHour;
  const gbSeconds = (finalizations * IDLE_FINALIZATION_S * finalizeMemoryMib) / 1024;
  return [
    {
      item: 'metrics and alarms',
      detail: `${workerMetrics} of workers, alarms over ${alarmMetrics}, ${dashboards} dashboard(s), this share of a month`,
      usd:
        months *
        (workerMetrics * cloudwatch.metric.usd +
          alarmMetrics * cloudwatch.alarm.usd +
          dashboards * (cloudwatch.dashboard?.usd ?? 0)),
    },
    {
      item: 'empty receives',
      detail: `${round(polls)} of event sources that wait, the most there can be`,
      usd: (polls / 1e6) * sqs.standard.usd,
    },
    {
      item: 'finalize, looking',
      detail: `${round(finalizations)} invocations that find nothing to do`,
      usd:
        gbSeconds * lambda[architecture].usd +
        (finalizations / 1e6) * (lambda.requests.usd + IDLE_FINALIZATION_SQS_REQUESTS * sqs.standard.usd),
    },
  ];
}

/** What no meter of a job sees (docs/cost.md). */
const UNMETERED = new Set([
  'S3 storage of packs',
  'CloudWatch Logs',
  'metrics and alarms',
  'empty receives',
  'finalize, looking',
]);

/** Of a bill, what the meters of a job tell too. */
export function meteredUsd(items: readonly BillItem[]): number {
  return totalUsd(items.filter(({ item }) => !UNMETERED.has(item)));
}

export function totalUsd(items: readonly BillItem[]): number {
  return items.reduce((sum, { usd }) => sum + usd, 0);
}

/** Requests that SQS bills for one message of so many bytes. */
export function sqsRequestsOf(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / SQS_CHUNK_BYTES));
}

/** What so many images cost in a month whose first image is the first of them. */
export function tieredUsd({ tiers }: Tiers, images: number): number {
  let usd = 0;
  let from = 0;
  for (const tier of tiers) {
    const to = tier.upTo ?? Number.POSITIVE_INFINITY;
    usd += (Math.max(0, Math.min(images, to) - from) / 1000) * tier.usd;
    from = to;
  }
  return usd;
}

function round(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}
