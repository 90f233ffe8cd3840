import {
  addUsage,
  type JobUsage,
  METERED_STAGES,
  type MeteredStage,
  noUsage,
  type StageUsage,
  type Usage,
} from '#core/usage.ts';
import { type Alternative, alternativesOf } from './alternatives.ts';
import type { CostAssumptions } from './assumptions.ts';
import { instanceHourUsd, type Prices } from './prices.ts';

/** Why money was spent for nothing. */
export const WASTE_KINDS = ['repeated work', 'retries', 'idle GPU', 'unfilled batches'] as const;
export type WasteKind = (typeof WASTE_KINDS)[number];

/** One line of the bill. */
export interface CostItem {
  readonly stage: MeteredStage;
  /** "Lambda compute", "GPU workers", "S3 PutObject". */
  readonly resource: string;
  readonly waste?: WasteKind;
  readonly quantity: number;
  readonly unit: string;
  readonly usd: number;
}

/** What a job, or several, came to in dollars. */
export interface JobCost {
  readonly jobs: readonly string[];
  readonly isComplete: boolean;
  /** Images that were audited, unreadable or failed; those carried over from an earlier job cost nothing anew. */
  readonly images: number;
  readonly usd: number;
  readonly usdPerMillion: number | undefined;
  readonly items: readonly CostItem[];
  readonly byStage: readonly { stage: MeteredStage; usd: number }[];
  readonly byResource: readonly { resource: string; usd: number }[];
  readonly waste: readonly { waste: WasteKind; usd: number }[];
  readonly usdWasted: number;
  /** Of the room in the batches that were run, the share that held an image; `undefined` where none was run. */
  readonly batchFill: number | undefined;
  /** Requests as they were sent, each try for itself. */
  readonly requests: Usage['requests'];
  readonly alternatives: readonly Alternative[];
  readonly assumptions: CostAssumptions;
  /** What is not in the figures, and what to doubt about them. */
  readonly notes: readonly string[];
}

export interface MeteredJob {
  readonly job: string;
  readonly isComplete: boolean;
  readonly images: number;
  readonly usage: JobUsage;
  /** What could not be read. */
  readonly notes: readonly string[];
}

const HOUR_MS = 3_600_000;
/** AWS bills months of 730 hours. */
const MONTH_HOURS = 730;
const S3_LIST = new Set(['s3:ListObjectsV2']);
const S3_PUT = new Set([
  's3:PutObject',
  's3:CopyObject',
  's3:PutObjectTagging',
  's3:CreateMultipartUpload',
  's3:UploadPart',
  's3:CompleteMultipartUpload',
]);
const S3_GET = new Set(['s3:GetObject', 's3:HeadObject', 's3:GetObjectTagging']);
const S3_FREE = new Set(['s3:DeleteObjects', 's3:AbortMultipartUpload']);
/** What no meter of a pipeline sees. */
const LEFT_OUT =
  'left out: S3 storage, logs, metrics and alarms, data transfer, VPC endpoints, what Lambda polls its queues for, ' +
  'functions starting up, workers starting up and shutting down, what a process spends after its last record ' +
  '(docs/cost.md), taxes, discounts and free tiers';

/** The cost of some jobs, from what they say that they have consumed. @throws SluiceError `config-invalid` for a price that is missing. */
export function jobCost(jobs: readonly MeteredJob[], assumptions: CostAssumptions, prices: Prices): JobCost {
  const images = jobs.reduce((sum, job) => sum + job.images, 0);
  const notes = new Set(jobs.flatMap((job) => job.notes));
  const items = new Map<string, CostItem>();
  const total = noUsage();
  const worked = noUsage();
  for (const stage of jobs.flatMap(({ usage }) => usage.stages)) {
    addUsage(total, stage.usage);
    if (stage.stage === 'worker') addUsage(worked, stage.usage);
    for (const item of itemsOf(stage, assumptions, prices, (note) => void notes.add(note))) {
      const name = `${item.stage} ${item.resource} ${item.waste ?? ''}`;
      const known = items.get(name);
      const { quantity = 0, usd = 0 } = known ?? {};
      items.set(name, { ...item, quantity: quantity + item.quantity, usd: usd + item.usd });
    }
  }
  const sorted = [...items.values()].sort((a, b) => b.usd - a.usd);
  const usd = sumOf(sorted);
  const { slots = 0, images: inBatches = 0 } = worked.counts;
  notes.add(LEFT_OUT);
  return {
    jobs: jobs.map(({ job }) => job),
    isComplete: jobs.every(({ isComplete }) => isComplete),
    images,
    usd,
    usdPerMillion: images > 0 ? (usd / images) * 1e6 : undefined,
    items: sorted,
    byStage: METERED_STAGES.map((stage) => ({
      stage,
      usd: sumOf(sorted.filter((item) => item.stage === stage)),
    })),
    byResource: [...new Set(sorted.map(({ resource }) => resource))]
      .map((resource) => ({ resource, usd: sumOf(sorted.filter((item) => item.resource === resource)) }))
      .sort((a, b) => b.usd - a.usd),
    waste: WASTE_KINDS.map((waste) => ({ waste, usd: sumOf(sorted.filter((item) => item.waste === waste)) })),
    usdWasted: sumOf(sorted.filter(({ waste }) => waste !== undefined)),
    batchFill: slots > 0 ? inBatches / slots : undefined,
    requests: total.requests,
    alternatives: alternativesOf(total, worked, images, assumptions, prices),
    assumptions,
    notes: [...notes],
  };
}

function itemsOf(
  stage: StageUsage,
  assumptions: CostAssumptions,
  prices: Prices,
  note: (text: string) => void,
): CostItem[] {
  const { usage, waste } = stage;
  const repeated: WasteKind | undefined = waste ? 'repeated work' : undefined;
  const items: CostItem[] = [];
  const add = (
    resource: string,
    quantity: number,
    unit: string,
    usd: number,
    kind: WasteKind | undefined = repeated,
  ): void => {
    if (quantity <= 0) return;
    items.push({ stage: stage.stage, resource, ...(kind && { waste: kind }), quantity, unit, usd });
  };
  const { function: functionMs = 0 } = usage.ms;
  if (stage.stage !== 'worker') {
    const memoryMb = stage.memoryMb ?? assumptions.memoryMb[stage.stage];
    const gbSeconds = (functionMs / 1000) * (memoryMb / 1024);
    add('Lambda compute', gbSeconds, 'GB-s', gbSeconds * prices.lambda[assumptions.architecture].usd);
  }
  const { invocations = 0 } = usage.counts;
  add('Lambda requests', invocations, 'requests', (invocations / 1e6) * prices.lambda.requests.usd);
  addWorker(usage, repeated, add, assumptions, prices);
  addRequests(usage, waste, add, prices, note);
  return items;
}

type AddItem = (resource: string, quantity: number, unit: string, usd: number, kind?: WasteKind) => void;

/** A worker's time, whether its model ran or not: the instance costs the same. */
function addWorker(
  { ms, counts }: Usage,
  repeated: WasteKind | undefined,
  add: AddItem,
  assumptions: CostAssumptions,
  prices: Prices,
): void {
  const { run = 0, commit = 0, fetch = 0, message = 0 } = ms;
  const idle = commit + fetch + message;
  if (run + idle === 0) return;
  const { slots = 0, images = 0 } = counts;
  // Room that stood empty is taken to have cost as much as room that was used, which is the most it can have cost.
  const unfilled = slots > 0 ? run * Math.max(0, 1 - images / slots) : 0;
  const shares: [number, WasteKind | undefined][] = [
    [run - unfilled, repeated],
    [unfilled, repeated ?? 'unfilled batches'],
    [idle, repeated ?? 'idle GPU'],
  ];
  const hourUsd = workerHourUsd(assumptions, prices);
  const volumeUsd = (assumptions.volumeGb * prices.ebs.gp3.usd) / MONTH_HOURS;
  const addressUsd = assumptions.publicIpv4 ? prices.network.publicIpv4.usd : 0;
  for (const [shareMs, kind] of shares) {
    const hours = shareMs / HOUR_MS;
    add('GPU workers', hours, 'hours', hours * hourUsd, kind);
    if (volumeUsd > 0) add("workers' volumes", hours, 'hours', hours * volumeUsd, kind);
    if (addressUsd > 0) add('public IPv4', hours, 'hours', hours * addressUsd, kind);
  }
}

/** An hour of a worker's instance. */
export function workerHourUsd(
  { instanceType, market, spotHourUsd }: CostAssumptions,
  prices: Prices,
): number {
  const given = market === 'spot' ? spotHourUsd : undefined;
  return given ?? instanceHourUsd(prices, instanceType, market);
}

function addRequests(
  { requests }: Usage,
  waste: boolean,
  add: AddItem,
  prices: Prices,
  note: (text: string) => void,
): void {
  for (const [kind, { count, retries, units }] of Object.entries(requests)) {
    const unitUsd = requestUsd(kind, prices);
    if (unitUsd === undefined) {
      note(`no price for ${kind}: ${count} requests are left out`);
      continue;
    }
    const resource = kind.replace(/^s3:/, 'S3 ').replace(/^sqs:/, 'SQS ');
    // Each call is worth one try. On S3 that is one unit; a message may have several, and all tries of a call as many.
    const tried = kind.startsWith('s3:')
      ? Math.min(Math.max(0, units - (count - retries)), retries)
      : (units * retries) / Math.max(1, count);
    add(resource, units - tried, 'requests', (units - tried) * unitUsd);
    add(resource, tried, 'requests', tried * unitUsd, waste ? 'repeated work' : 'retries');
  }
}

function requestUsd(kind: string, { s3, sqs }: Prices): number | undefined {
  if (kind.startsWith('sqs:')) return sqs.standard.usd / 1e6;
  if (S3_PUT.has(kind)) return s3.put.usd / 1000;
  if (S3_GET.has(kind)) return s3.get.usd / 1000;
  if (S3_LIST.has(kind)) return s3.list.usd / 1000;
  return S3_FREE.has(kind) ? 0 : undefined;
}

function sumOf(items: readonly CostItem[]): number {
  return items.reduce((sum, { usd }) => sum + usd, 0);
}
