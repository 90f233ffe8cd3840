import type { MeteredStage, StageUsage, Usage } from '#core/usage.ts';
import type { CostAssumptions } from './assumptions.ts';
import { instanceHour, type Prices } from './prices.ts';
import { type RequestClass, requestClass } from './request-class.ts';

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

const HOUR_MS = 3_600_000;
/** AWS bills months of 730 hours. */
export const MONTH_HOURS = 730;

type AddItem = (resource: string, quantity: number, unit: string, usd: number, kind?: WasteKind) => void;

/** What some stages have consumed, line by line, the dearest first. */
export function costItems(
  stages: readonly StageUsage[],
  assumptions: CostAssumptions,
  prices: Prices,
  note: (text: string) => void,
): CostItem[] {
  const items = new Map<string, CostItem>();
  for (const item of stages.flatMap((stage) => itemsOf(stage, assumptions, prices, note))) {
    const name = `${item.stage} ${item.resource} ${item.waste ?? ''}`;
    const { quantity = 0, usd = 0 } = items.get(name) ?? {};
    items.set(name, { ...item, quantity: quantity + item.quantity, usd: usd + item.usd });
  }
  return [...items.values()].sort((a, b) => b.usd - a.usd);
}

export function sumOf(items: readonly { readonly usd: number }[]): number {
  return items.reduce((sum, { usd }) => sum + usd, 0);
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
  const add: AddItem = (resource, quantity, unit, usd, kind = repeated) => {
    if (quantity <= 0) return;
    items.push({ stage: stage.stage, resource, ...(kind && { waste: kind }), quantity, unit, usd });
  };
  const { function: functionMs = 0, init = 0 } = usage.ms;
  if (stage.stage !== 'worker') {
    const memoryMb = stage.memoryMb ?? assumptions.memoryMb[stage.stage];
    const gbSecondUsd = prices.lambda[assumptions.architecture].usd;
    for (const [resource, ms] of [
      ['Lambda compute', functionMs],
      ['Lambda starts', init],
    ] as const) {
      const gbSeconds = (ms / 1000) * (memoryMb / 1024);
      add(resource, gbSeconds, 'GB-s', gbSeconds * gbSecondUsd);
    }
  }
  const { invocations = 0 } = usage.counts;
  add('Lambda requests', invocations, 'requests', (invocations / 1e6) * prices.lambda.requests.usd);
  addWorker(stage, repeated, add, assumptions, prices);
  addRequests(usage, waste, add, prices, note);
  return items;
}

/** A worker's time, whether its model ran or not: the instance costs the same. */
function addWorker(
  { usage: { ms, counts }, idle: forNobody }: StageUsage,
  repeated: WasteKind | undefined,
  add: AddItem,
  assumptions: CostAssumptions,
  prices: Prices,
): void {
  const { run = 0, commit = 0, fetch = 0, message = 0, start = 0 } = ms;
  const idle = commit + fetch + message;
  if (run + idle + start === 0) return;
  const { slots = 0, images = 0 } = counts;
  // Room that stood empty is taken to have cost as much as room that was used, which is the most it can have cost.
  const unfilled = slots > 0 ? run * Math.max(0, 1 - images / slots) : 0;
  const shares: [number, WasteKind | undefined][] = [
    [run - unfilled, repeated],
    [unfilled, repeated ?? 'unfilled batches'],
    [idle, repeated ?? (forNobody ? undefined : 'idle GPU')],
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
  const startHours = start / HOUR_MS;
  add('GPU starts', startHours, 'hours', startHours * machineHourUsd(assumptions, prices));
}

/** An hour of a worker's instance. */
export function workerHourUsd(
  { instanceType, market, spotHourUsd }: CostAssumptions,
  prices: Prices,
): number {
  const given = market === 'spot' ? spotHourUsd : undefined;
  return given ?? instanceHour(prices, instanceType, market).price.usd;
}

/** The same with its volume and address. */
export function machineHourUsd(assumptions: CostAssumptions, prices: Prices): number {
  const { volumeGb, publicIpv4 } = assumptions;
  const addressUsd = publicIpv4 ? prices.network.publicIpv4.usd : 0;
  return workerHourUsd(assumptions, prices) + (volumeGb * prices.ebs.gp3.usd) / MONTH_HOURS + addressUsd;
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
  const usd: Readonly<Record<RequestClass, number>> = {
    sqs: sqs.standard.usd / 1e6,
    put: s3.put.usd / 1000,
    get: s3.get.usd / 1000,
    list: s3.list.usd / 1000,
    free: 0,
  };
  const billedAs = requestClass(kind);
  return billedAs && usd[billedAs];
}
