import { addUsage, type MeteredStage, noUsage, type StageUsage, type Usage } from '#core/usage.ts';
import type { CostAssumptions } from './assumptions.ts';
import { MONTH_HOURS, machineHourUsd } from './cost-items.ts';
import type { MeteredJob } from './job-cost.ts';
import { type Prices, SQS_CHUNK_BYTES } from './prices.ts';

/** What no meter tells: by an assumption, from what is metered. */
export interface EstimatedItem {
  readonly resource: string;
  readonly quantity: number;
  readonly unit: string;
  readonly usd: number;
  /** What it was reckoned from, with the names of the assumptions. */
  readonly how: string;
}

const GB = 1e9;
/** S3 counts binary gigabytes. */
const GIB = 2 ** 30;
const POLLED: readonly MeteredStage[] = ['plan', 'ingest', 'preprocess'];

/** What some jobs cost beside what is metered. What lasts (alarms, polls, endpoints) counts while a job does, from its submission to its proof. */
export function estimatedItems(
  jobs: readonly MeteredJob[],
  own: readonly StageUsage[],
  assumptions: CostAssumptions,
  prices: Prices,
): EstimatedItem[] {
  const assumed = assumptions.estimates;
  const of = (...stages: readonly MeteredStage[]): Usage =>
    sum(own.filter(({ stage }) => stages.includes(stage)));
  const hours = jobs.reduce((all, { seconds = 0 }) => all + seconds, 0) / 3600;
  const invocations = of(...POLLED).counts['invocations'] ?? 0;
  const worker = of('worker');
  const { starts = 0 } = worker.counts;
  const machineUsd = machineHourUsd(assumptions, prices);
  const requestUsd = prices.sqs.standard.usd / 1e6;
  const polled = invocations * assumed.requestsPerInvocation;
  const empty = hours * assumed.emptyPollsPerHour;
  const packGibMonths =
    (of('preprocess', 'ingest').bytesOut / GIB) * (assumed.packStorageHours / MONTH_HOURS);
  const resultGibMonths = (of('worker', 'finalize').bytesOut / GIB) * assumed.resultStorageMonths;
  const bootHours = (starts * assumed.workerBootSeconds) / 3600;
  const tailHours = (starts * assumed.workerTailSeconds) / 3600;
  const lostHours = lostMs(own) / 3_600_000;
  const logGb =
    ((of('plan', 'ingest', 'preprocess', 'finalize').counts['invocations'] ?? 0) *
      assumed.logBytesPerInvocation +
      (workerMs(worker) / 1000) * assumed.logBytesPerWorkerSecond) /
    GB;
  const endpointHours = hours * assumed.interfaceEndpoints;
  const sqsGb = assumed.interfaceEndpoints === 0 ? 0 : (sqsUnits(sum(own)) * SQS_CHUNK_BYTES) / GB;
  const { betweenZones, toInternet } = prices.network;
  const items: EstimatedItem[] = [
    {
      resource: 'SQS, polled by Lambda',
      quantity: polled,
      unit: 'requests',
      usd: polled * requestUsd,
      how: `${count(invocations)} invocations, requestsPerInvocation ${assumed.requestsPerInvocation}: a receive and a delete`,
    },
    {
      resource: "SQS, Lambda's empty polls",
      quantity: empty,
      unit: 'requests',
      usd: empty * requestUsd,
      how: `emptyPollsPerHour ${assumed.emptyPollsPerHour}, while the job lasted`,
    },
    {
      resource: 'S3 storage of packs',
      quantity: packGibMonths,
      unit: 'GB-months',
      usd: packGibMonths * prices.s3.storage.usd,
      how: `all that preprocessing sent, packStorageHours ${assumed.packStorageHours}`,
    },
    {
      resource: 'S3 storage of results',
      quantity: resultGibMonths,
      unit: 'GB-months',
      usd: resultGibMonths * prices.s3.storage.usd,
      how: `all that workers and finalizing sent, resultStorageMonths ${assumed.resultStorageMonths}`,
    },
    {
      resource: 'GPU instances booting',
      quantity: bootHours,
      unit: 'hours',
      usd: bootHours * machineUsd,
      how: `${count(starts)} starts, workerBootSeconds ${assumed.workerBootSeconds}: from launch to the process, which meters itself`,
    },
    {
      resource: 'GPU idle tail',
      quantity: tailHours,
      unit: 'hours',
      usd: tailHours * machineUsd,
      how: `${count(starts)} starts, workerTailSeconds ${assumed.workerTailSeconds}: until the group is empty; metered by the next job's "idle pipeline"`,
    },
    {
      resource: 'GPU work lost to Spot',
      quantity: lostHours,
      unit: 'hours',
      usd: lostHours * machineUsd,
      how: 'packs that were received again although no worker has told of the first time, at the time of the others',
    },
    {
      resource: 'CloudWatch Logs',
      quantity: logGb,
      unit: 'GB',
      usd: logGb * prices.cloudwatch.logs.usd,
      how: `logBytesPerInvocation ${assumed.logBytesPerInvocation}, logBytesPerWorkerSecond ${assumed.logBytesPerWorkerSecond}`,
    },
    {
      resource: 'alarms',
      quantity: hours * assumed.alarmMetrics,
      unit: 'hours',
      usd: (hours / MONTH_HOURS) * assumed.alarmMetrics * prices.cloudwatch.alarm.usd,
      how: `alarmMetrics ${assumed.alarmMetrics}, while the job lasted`,
    },
    {
      resource: "workers' metrics",
      quantity: hours * assumed.workerMetrics,
      unit: 'hours',
      usd: (hours / MONTH_HOURS) * assumed.workerMetrics * prices.cloudwatch.metric.usd,
      how: `workerMetrics ${assumed.workerMetrics}, while the job lasted`,
    },
    {
      resource: 'dashboard',
      quantity: hours * assumed.dashboards,
      unit: 'hours',
      usd: (hours / MONTH_HOURS) * assumed.dashboards * (prices.cloudwatch.dashboard?.usd ?? 0),
      how: `dashboards ${assumed.dashboards}, while the job lasted; an account's first three are free`,
    },
    {
      resource: 'interface endpoints',
      quantity: endpointHours,
      unit: 'hours',
      usd: endpointHours * prices.network.interfaceEndpoint.usd,
      how: `interfaceEndpoints ${assumed.interfaceEndpoints}, while the job lasted`,
    },
    {
      resource: 'interface endpoints, data',
      quantity: sqsGb,
      unit: 'GB',
      usd: sqsGb * prices.network.interfaceEndpointData.usd,
      how: 'what SQS billed, at 64 KiB a request: the most that it can be',
    },
    {
      resource: 'data between zones',
      quantity: assumed.gbBetweenZones,
      unit: 'GB',
      usd: assumed.gbBetweenZones * (betweenZones?.usd ?? 0),
      how: `gbBetweenZones ${assumed.gbBetweenZones}`,
    },
    {
      resource: 'data to the internet',
      quantity: assumed.gbToInternet,
      unit: 'GB',
      usd: assumed.gbToInternet * (toInternet?.usd ?? 0),
      how: `gbToInternet ${assumed.gbToInternet}`,
    },
  ];
  return items.filter(({ quantity }) => quantity > 0).sort((a, b) => b.usd - a.usd);
}

/** Of a worker that was killed nothing is known but that its packs came again. */
function lostMs(own: readonly StageUsage[]): number {
  const workers = own.filter(({ stage }) => stage === 'worker');
  const all = sum(workers);
  const told = sum(workers.filter(({ waste }) => waste)).counts['messages'] ?? 0;
  const { messages = 0, redelivered = 0 } = all.counts;
  return messages === 0 ? 0 : (Math.max(0, redelivered - told) * workerMs(all)) / messages;
}

function workerMs({ ms: { run = 0, commit = 0, fetch = 0, message = 0 } }: Usage): number {
  return run + commit + fetch + message;
}

function sqsUnits({ requests }: Usage): number {
  return Object.entries(requests)
    .filter(([kind]) => kind.startsWith('sqs:'))
    .reduce((units, [, request]) => units + request.units, 0);
}

function sum(stages: readonly StageUsage[]): Usage {
  const total = noUsage();
  for (const { usage } of stages) addUsage(total, usage);
  return total;
}

function count(n: number): string {
  return n.toLocaleString('en-US');
}
