import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { createAwsClients } from '#adapters/aws-clients.ts';
import { readPrices } from '#adapters/price-files.ts';
import { SqsMessageQueue } from '#adapters/sqs-queue.ts';
import { Completion } from '#core/completion.ts';
import { parseAssumptions } from '#core/cost/assumptions.ts';
import { type JobCost, jobCost } from '#core/cost/job-cost.ts';
import { completionKey } from '#core/job-layout.ts';
import { addUsage, type JobUsage, noUsage, type Usage } from '#core/usage.ts';
import { DisturbedBackfill, IMAGES } from '#test/support/disturbed-backfill.ts';
import { forgetEarlierUsage } from '#test/support/earlier-usage.ts';
import { OBSERVER, RequestLog } from '#test/support/request-log.ts';
import type { RunningPipeline } from '#test/support/running-pipeline.ts';

const PACKS = IMAGES / 4;
const prices = await readPrices('us-east-1');

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
      const { items, besides } = costOf(usage);
      expect(totalOf(usage)).toEqual(log.counts);
      const all = [...items, ...besides.flatMap((beside) => beside.items)];
      for (const [kind, { units }] of Object.entries(log.counts)) {
        const billed = all.filter(
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
  log.begin({ endsWithProof: true });
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

function totalOf({ stages }: JobUsage): Usage['requests'] {
  const total = noUsage();
  for (const { usage } of stages) addUsage(total, usage);
  return total.requests;
}

function countOf(usage: JobUsage, what: string, stages: readonly string[], waste: boolean): number {
  return usage.stages
    .filter((stage) => stages.includes(stage.stage) && stage.waste === waste)
    .reduce((sum, stage) => sum + (stage.usage.counts[what] ?? 0), 0);
}
