import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { createAwsClients } from '#adapters/aws-clients.ts';
import { readPrices } from '#adapters/price-files.ts';
import { SqsMessageQueue } from '#adapters/sqs-queue.ts';
import { Completion } from '#core/completion.ts';
import { parseAssumptions } from '#core/cost/assumptions.ts';
import { type JobCost, jobCost } from '#core/cost/job-cost.ts';
import { completionKey } from '#core/job-layout.ts';
import type { JobUsage } from '#core/usage.ts';
import { LAMBDA_POLLER } from '#local-aws/functions.ts';
import type { Fault, FaultRequest } from '#local-aws/server.ts';
import { DisturbedBackfill, IMAGES } from '#test/support/disturbed-backfill.ts';
import { forgetEarlierUsage } from '#test/support/earlier-usage.ts';
import type { RunningPipeline } from '#test/support/running-pipeline.ts';

/** In the user agent of the test's own requests. */
const OBSERVER = 'metering-test';
const PACKS = IMAGES / 4;
const prices = await readPrices('us-east-1');

interface Counts {
  count: number;
  retries: number;
  units: number;
}

/** Counts requests by what the server sees of them, with none of the code that is under test. */
class RequestLog {
  readonly #counts: Record<string, Counts> = {};
  readonly #invocations = new Set<string>();
  readonly faults = new Map<Fault, number>();
  #runs = false;
  #requests = 0;

  begin(): void {
    this.#runs = true;
  }

  get counts(): Readonly<Record<string, Counts>> {
    return this.#counts;
  }

  /** Takes a request, and decides its fate. */
  readonly take = (request: FaultRequest, faults: Readonly<Record<string, readonly Fault[]>>): Fault => {
    const { service, invocation, userAgent } = request;
    if (userAgent.includes(LAMBDA_POLLER) || userAgent.includes(OBSERVER)) return undefined;
    if (request.method === 'PUT' && request.url.includes('completion.json')) this.#runs = false;
    if (!this.#runs) return undefined;
    const possible = faults[service] ?? [];
    const at = this.#requests++;
    const fault = at % 6 === 4 ? possible[Math.floor(at / 6) % possible.length] : undefined;
    this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1);
    const kind = kindOf(request);
    this.#counts[kind] ??= { count: 0, retries: 0, units: 0 };
    const counts = this.#counts[kind];
    counts.count++;
    if (this.#invocations.has(invocation)) counts.retries++;
    this.#invocations.add(invocation);
    // S3 bills nothing for its own faults; no message here has more than 64 KiB.
    if (service === 'sqs' || (fault !== 'slow-down' && fault !== 'internal-error')) counts.units++;
    return fault;
  };
}

function kindOf({ service, action, method, url }: FaultRequest): string {
  if (service === 'sqs') return `sqs:${action}`;
  if (method === 'POST' && /[?&]delete/.test(url)) return 's3:DeleteObjects';
  if (method === 'GET' && /[?&]list-type=2/.test(url)) return 's3:ListObjectsV2';
  const names: Record<string, string> = { GET: 'GetObject', HEAD: 'HeadObject', PUT: 'PutObject' };
  return `s3:${names[method] ?? `${method} ${url}`}`;
}

let backfill: DisturbedBackfill;
beforeAll(async () => {
  backfill = await DisturbedBackfill.prepare();
});

describe('what a job says it has consumed', () => {
  it.each([
    ['nothing goes wrong', {}, false],
    ['threads of their own read the packs', { s3: ['slow-down', 'reset'] }, false, 2],
    ['S3 throttles and fails', { s3: ['slow-down', 'internal-error'] }, false],
    ['connections are reset', { s3: ['reset'], sqs: ['reset'] }, false],
    ['SQS throttles and fails', { sqs: ['throttled', 'internal-error'] }, false],
    ['every message comes twice', {}, true],
    [
      'all of it happens',
      { s3: ['slow-down', 'internal-error', 'reset'], sqs: ['throttled', 'reset', 'internal-error'] },
      true,
    ],
  ] as const)(
    'is what the server has seen, kind by kind, when %s',
    async (_, faults, duplicates, fetchThreads: number = 0) => {
      const log = new RequestLog();
      await using running = await backfill.start({
        maxDeliveries: 20,
        config: { shardSize: 12, packSize: 4, worker: { fetchThreads } },
        aws: { fault: (request) => log.take(request, faults), duplicates: () => duplicates },
      });
      const usage = await meteredJob(running, log);
      const { requests, items } = costOf(usage);
      expect(requests).toEqual(log.counts);
      for (const [kind, { units }] of Object.entries(log.counts)) {
        const billed = items.filter(
          ({ resource }) => resource === kind.replace('s3:', 'S3 ').replace('sqs:', 'SQS '),
        );
        expect(billed.reduce((sum, { quantity }) => sum + quantity, 0)).toBeCloseTo(units, 9);
      }
      expect(usage).toMatchObject({ parts: PACKS, silentParts: 0 });
      expect(countOf(usage, 'images', ['preprocess'], false)).toBe(IMAGES - 1);
      expect(countOf(usage, 'images', ['worker'], false)).toBe(IMAGES - 1);
      if (duplicates) expect(countOf(usage, 'messages', ['worker'], true)).toBeGreaterThan(0);
      for (const fault of Object.values(faults).flat()) expect(log.faults.get(fault)).toBeGreaterThan(0);
    },
  );
});

/** Runs one job, finalizing once all else is quiet: then everything that is to be told has been consumed. */
async function meteredJob(running: RunningPipeline, log: RequestLog): Promise<JobUsage> {
  await running.submit('job');
  forgetEarlierUsage();
  log.begin();
  running.startFunctions({ only: ['plan', 'preprocess'] });
  const stopWorker = await running.startWorkerHere();
  const work = running.pipeline.workLocation.bucket;
  const parts = () => running.aws.objects.listObjects(work, { prefix: 'parts/' }).objects.length;
  while (parts() < PACKS) await sleep(50);
  // An invocation may go on after its message has gone: a slow one's message comes again, and one of both is deleted.
  await emptied(running, 'jobs', 'shards');
  await running.stopFunctions();
  await emptied(running, 'bulk');
  await stopWorker();
  running.startFunctions({ only: ['finalize'] });
  const { objects } = running.aws;
  const isThere = () => objects.listObjects(work, { prefix: completionKey('job') }).objects.length > 0;
  while (!isThere()) await sleep(50);
  await running.stopFunctions();
  const { body } = objects.getObject(work, completionKey('job'));
  return Completion.parse(JSON.parse(body.toString())).usage as JobUsage;
}

/** Waits until no message is left, doubled ones included. */
async function emptied(
  { pipeline }: RunningPipeline,
  ...names: readonly ('jobs' | 'shards' | 'bulk')[]
): Promise<void> {
  const client = createAwsClients({ userAgent: OBSERVER }).sqs;
  for (const name of names) {
    const queue = await SqsMessageQueue.open(pipeline.config.queues[name], { client });
    for (;;) {
      const { waiting, leased } = await queue.depth();
      if (waiting + leased === 0) break;
      await sleep(50);
    }
  }
}

/** As the report has it. */
function costOf(usage: JobUsage): JobCost {
  const job = { job: 'job', isComplete: true, images: IMAGES, usage, notes: [] };
  return jobCost([job], parseAssumptions({}, 'the test'), prices);
}

function countOf(usage: JobUsage, what: string, stages: readonly string[], waste: boolean): number {
  return usage.stages
    .filter((stage) => stages.includes(stage.stage) && stage.waste === waste)
    .reduce((sum, stage) => sum + (stage.usage.counts[what] ?? 0), 0);
}
