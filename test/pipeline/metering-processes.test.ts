import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { createAwsClients } from '#adapters/aws-clients.ts';
import { Pipeline } from '#adapters/pipeline.ts';
import { readPrices } from '#adapters/price-files.ts';
import { Completion } from '#core/completion.ts';
import { parseAssumptions } from '#core/cost/assumptions.ts';
import { jobCost } from '#core/cost/job-cost.ts';
import { completionKey } from '#core/job-layout.ts';
import { addUsage, noUsage, type Usage, type UsageRecord } from '#core/usage.ts';
import { WorkerStatus } from '#core/worker-status.ts';
import { submitJob } from '#functions/planning/submit-job.ts';
import type { Fault } from '#local-aws/server.ts';
import { DisturbedBackfill, IMAGES } from '#test/support/disturbed-backfill.ts';
import { OBSERVER, RequestLog } from '#test/support/request-log.ts';
import type { RunningPipeline } from '#test/support/running-pipeline.ts';

/** Looks of `finalize` for dead letters, in five queues each, before there is a job. */
const IDLE_RECEIVES = 20;
const ALL_FAULTS: Readonly<Record<string, readonly Fault[]>> = {
  s3: ['slow-down', 'internal-error', 'reset'],
  sqs: ['throttled', 'reset', 'internal-error'],
};
const assumptions = parseAssumptions({}, 'the test');
const prices = await readPrices('us-east-1');

let backfill: DisturbedBackfill;
beforeAll(async () => {
  backfill = await DisturbedBackfill.prepare();
});

describe('a pipeline whose worker and functions are processes', () => {
  it.each([
    ['nothing goes wrong', {}],
    ['a sixth of the requests is throttled, fails or is reset', ALL_FAULTS],
  ])(
    'has a place for each request that the server has seen, when %s',
    async (_, faults) => {
      const log = new RequestLog();
      await using running = await backfill.start({
        maxDeliveries: 20,
        visibilitySeconds: 60,
        aws: { fault: (request) => log.take(request, faults) },
      });
      log.begin({ endsWithProof: false });
      const finalize = host(running, 'finalize');
      const worker = running.startWorker();
      while ((log.counts['sqs:ReceiveMessage']?.count ?? 0) < IDLE_RECEIVES) await sleep(20);
      const others = ['plan', 'preprocess'].map((name) => host(running, name));
      await submit(running);
      const completion = await proofOf(running);
      // What finalizing does after the proof, it owes.
      await stopped(worker, finalize, ...others);

      const stages = completion.usage?.stages ?? [];
      const ofJob = stages.filter(({ idle, job }) => !idle && job === undefined);
      const ofNobody = stages.filter(({ idle }) => idle);
      const remainder = [...(await lastWords(running)), ...untoldInLog(running)];
      expect(stages).toHaveLength(ofJob.length + ofNobody.length);
      expect(totalOf([...stages, ...remainder])).toEqual(log.counts);

      // Looking for dead letters is nobody's, and so is a worker's waiting before the first pack.
      const [own, idle] = [totalOf(ofJob), totalOf(ofNobody)];
      expect(idle['sqs:ReceiveMessage']?.count).toBeGreaterThanOrEqual(IDLE_RECEIVES);
      expect(
        totalOf(ofJob.filter(({ stage }) => stage === 'finalize'))['sqs:ReceiveMessage'],
      ).toBeUndefined();
      expect(msOf(ofNobody, 'message')).toBeGreaterThan(0);
      expect(msOf(ofJob, 'start')).toBeGreaterThan(0);

      const { besides, estimated, requests } = jobCost(
        [
          {
            job: 'job',
            isComplete: true,
            images: IMAGES,
            usage: completion.usage ?? { stages: [], parts: 0, silentParts: 0 },
            notes: [],
          },
        ],
        assumptions,
        prices,
      );
      expect(requests).toEqual(own);
      expect(besides.find(({ name }) => name === 'idle pipeline')?.requests).toEqual(idle);
      // Nobody meters Lambda: a receive and a delete for each invocation.
      const { DeleteMessageBatch: deleted = 0, ChangeMessageVisibilityBatch: returned = 0 } = log.polls;
      if (faults !== ALL_FAULTS) {
        expect(estimated.find(({ resource }) => resource === 'SQS, polled by Lambda')?.quantity).toBe(
          2 * (deleted + returned),
        );
      } else {
        for (const fault of Object.values(ALL_FAULTS).flat())
          expect(log.faults.get(fault)).toBeGreaterThan(0);
      }
    },
    240_000,
  );
});

function host(running: RunningPipeline, name: string): ChildProcess {
  return running.startProcess('local-aws/function-host.ts', [
    name,
    ...['--processes', '1', '--finalize-every-ms', '300'],
  ]);
}

/** As the command does, which no job pays for. */
async function submit({ pipeline, images }: RunningPipeline): Promise<void> {
  const own = new Pipeline(pipeline.config, createAwsClients({ userAgent: OBSERVER }));
  await submitJob(
    {
      schema: 1,
      job: 'job',
      source: { kind: 'prefix', bucket: images, prefix: '' },
      filter: { include: [], exclude: [], suffixes: [] },
      incremental: false,
      submittedAt: new Date().toISOString(),
    },
    { works: own.works, jobs: await own.queue('jobs') },
  );
}

async function proofOf({ aws, pipeline }: RunningPipeline): Promise<Completion> {
  const { bucket } = pipeline.workLocation;
  const isThere = () => aws.objects.listObjects(bucket, { prefix: completionKey('job') }).objects.length > 0;
  while (!isThere()) await sleep(50);
  return Completion.parse(JSON.parse(aws.objects.getObject(bucket, completionKey('job')).body.toString()));
}

async function stopped(...processes: readonly ChildProcess[]): Promise<void> {
  for (const process of processes) process.kill('SIGTERM');
  await Promise.all(processes.map((process) => once(process, 'close')));
}

/** What the worker has left in the store for the next job that is completed. */
async function lastWords({ aws, pipeline }: RunningPipeline): Promise<UsageRecord[]> {
  const { bucket } = pipeline.workLocation;
  const [status] = aws.objects.listObjects(bucket, { prefix: 'workers/' }).objects;
  const { body } = aws.objects.getObject(bucket, status?.key ?? '');
  const { stopped, untold = [] } = WorkerStatus.parse(JSON.parse(body.toString()));
  expect(stopped).toBe(true);
  return untold;
}

/** What the processes of functions have said at their end. */
function untoldInLog({ log }: RunningPipeline): UsageRecord[] {
  return log
    .join('')
    .split('\n')
    .filter((line) => line.includes('"message":"stopped"'))
    .flatMap((line) => (JSON.parse(line) as { untold: UsageRecord[] }).untold);
}

function totalOf(records: readonly { readonly usage: Usage }[]): Usage['requests'] {
  const total = noUsage();
  for (const { usage } of records) addUsage(total, usage);
  return total.requests;
}

function msOf(records: readonly { readonly usage: Usage }[], kind: string): number {
  return records.reduce((sum, { usage }) => sum + (usage.ms[kind] ?? 0), 0);
}
