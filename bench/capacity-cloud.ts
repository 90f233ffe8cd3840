import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Completion } from '#core/completion.ts';
import { type RequestClass, requestClass } from '#core/cost/request-class.ts';
import { completionKey } from '#core/job-layout.ts';
import { measurementsFrom } from '#core/simulation/measurements.ts';
import { Scenario } from '#core/simulation/scenario.ts';
import { type Outcome, simulate } from '#core/simulation/simulate.ts';
import { addUsage, isOwn, type MeteredStage, noUsage, type StageUsage, type Usage } from '#core/usage.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { atMost, type BenchResult } from './support/bench.ts';
import { type Corpus, cut, writeCorpus } from './support/corpora.ts';
import { LocalCloud } from './support/local-cloud.ts';
import { type JobTime, simulatedHere } from './support/simulated-here.ts';

/** Each is cut from another place: copies would be decoded again by `finalize`, which no simulation knows of. */
const PHOTOS: Corpus = {
  name: 'photos of 1 megapixel',
  images: 3000,
  baseMegapixels: 3,
  async file(base, random) {
    const picture = await cut(base, MEGAPIXELS, random);
    return { suffix: 'jpg', bytes: await picture.jpeg({ quality: 85 }).toBuffer() };
  },
};
const MEGAPIXELS = 1;
/** Enough for as many thumbnails as a report shows: from there on, completing a job grows with its rows alone. */
const SMALL = { prefix: 'a-', images: 400 };
const SHORT = { prefix: 'b-', images: 1000 };
const LONG = { prefix: '', images: PHOTOS.images };
const PACK_SIZE = 16;
const SHARD_SIZE = 64;
/** Each in a process of its own, as Lambda has them. */
const INVOCATIONS = 2;
const FINALIZE_EVERY_S = 1;
const WITHIN = 0.15;
const WITHIN_MS = 120_000;

/**
 * The simulation of `sluice plan-capacity` against a pipeline on S3 and SQS: planning, functions, queues, a worker and
 * finalizing, each a process of its own on this machine. What two short jobs have metered are the service times; from them
 * duration and requests of a job of three times the images are predicted, then it is run.
 */
export async function capacityCloudBench(): Promise<BenchResult[]> {
  await using folder = await temporaryFolder();
  const photos = join(folder.path, 'photos');
  await writePhotos(photos);
  await using cloud = await LocalCloud.start({
    photos,
    config: { packSize: PACK_SIZE, shardSize: SHARD_SIZE },
  });
  cloud.worker();
  const finalizeEvery = ['--finalize-every-ms', String(FINALIZE_EVERY_S * 1000)];
  cloud.functions(['plan', 'finalize', ...finalizeEvery], { concurrency: 1, processes: 1 });
  for (let i = 0; i < INVOCATIONS; i++) cloud.functions(['preprocess'], { concurrency: 1, processes: 1 });
  // The first job fills caches and starts what stays.
  await runOf(cloud, 'warm', SMALL.prefix);
  const small = await runOf(cloud, 'small', SMALL.prefix);
  const short = await runOf(cloud, 'short', SHORT.prefix);
  const predicted = predictedOf(small, short);
  const long = await runOf(cloud, 'long', LONG.prefix);
  return [
    ...timesOf('short job', short),
    ...timesOf('long job', long),
    ...compared('duration', predicted.seconds, long.seconds, 's'),
    ...compared('S3 GET and HEAD', predicted.usage.s3Gets, long.requests.get, 'requests'),
    ...compared('S3 PUT', predicted.usage.s3Puts, long.requests.put, 'requests'),
    ...compared('S3 LIST', predicted.usage.s3Lists, long.requests.list, 'requests'),
    ...compared('SQS', predicted.usage.sqsRequests, long.requests.sqs, 'requests'),
  ];
}

async function writePhotos(folder: string): Promise<void> {
  await writeCorpus(folder, PHOTOS, 1);
  for (const [i, name] of (await readdir(folder)).sort().entries()) {
    const rest = i < SMALL.images + SHORT.images ? SHORT.prefix : '';
    await rename(join(folder, name), join(folder, `${i < SMALL.images ? SMALL.prefix : rest}${name}`));
  }
}

/** By the image: what is predicted from, and whether it stays so. */
function timesOf(name: string, { images, stages, seconds, completionMs, lookMs }: CloudRun): BenchResult[] {
  const { run = 0, commit = 0, fetch = 0 } = stages.worker.ms;
  return [
    { metric: `${name}`, value: seconds, unit: 's' },
    {
      metric: `${name}: an invocation, for an image`,
      value: (stages.preprocess.ms['function'] ?? 0) / images,
      unit: 'ms',
    },
    { metric: `${name}: the worker, for an image`, value: (run + commit + fetch) / images, unit: 'ms' },
    { metric: `${name}: planning`, value: stages.plan.ms['function'] ?? 0, unit: 'ms' },
    { metric: `${name}: completion`, value: completionMs, unit: 'ms' },
    { metric: `${name}: a look of finalize`, value: lookMs, unit: 'ms' },
  ];
}

function compared(name: string, predicted: number, measured: number, unit: string): BenchResult[] {
  return [
    { metric: `${name}, predicted`, value: predicted, unit },
    { metric: `${name}, measured`, value: measured, unit },
    atMost(`${name}, off by`, Math.abs(predicted / measured - 1), WITHIN),
  ];
}

interface CloudRun {
  /** From its submission to its proof. */
  readonly seconds: number;
  readonly images: number;
  /** From the look that found all parts to the proof. */
  readonly completionMs: number;
  /** A look of `finalize` that found no job over. */
  readonly lookMs: number;
  /** Of the job itself, by stage. */
  readonly stages: Readonly<Record<MeteredStage, Usage>>;
  /** What was metered, and Lambda's own polling: a receive and a delete for each invocation. */
  readonly requests: Readonly<Record<RequestClass, number>>;
}

async function runOf(cloud: LocalCloud, job: string, prefix: string): Promise<CloudRun> {
  const submittedMs = Date.now();
  await cloud.submit(job, { source: { kind: 'prefix', bucket: cloud.images, prefix } });
  const { completion } = await cloud.reached(job, 'complete', WITHIN_MS);
  const [proof] = (await cloud.pipeline.works.list({ prefix: completionKey(job) })).objects;
  const provedMs = proof?.modifiedAt?.getTime() ?? Number.NaN;
  const completionMs = provedMs - Date.parse(completion.completedAt);
  const stages = stagesOf(completion, isOwn);
  const requests = { put: 0, get: 0, list: 0, free: 0, sqs: 0 };
  for (const { requests: own } of Object.values(stages)) {
    for (const [kind, { units }] of Object.entries(own)) requests[requestClass(kind) ?? 'free'] += units;
  }
  const { plan, preprocess } = stages;
  const invocations = (plan.counts['invocations'] ?? 0) + (preprocess.counts['invocations'] ?? 0);
  const { finalize } = stagesOf(completion, () => true);
  const looks = finalize.counts['invocations'] ?? 1;
  return {
    seconds: (provedMs - submittedMs) / 1000,
    images: completion.planned,
    completionMs,
    lookMs: Math.max(0, (finalize.ms['function'] ?? 0) - completionMs) / looks,
    stages,
    requests: { ...requests, sqs: requests.sqs + 2 * invocations },
  };
}

function stagesOf(
  { usage }: Completion,
  counts: (stage: StageUsage) => boolean,
): Record<MeteredStage, Usage> {
  const sums = {
    plan: noUsage(),
    ingest: noUsage(),
    preprocess: noUsage(),
    worker: noUsage(),
    finalize: noUsage(),
  };
  for (const stage of usage?.stages ?? []) if (counts(stage)) addUsage(sums[stage.stage], stage.usage);
  return sums;
}

/** The long job, by what the short ones have metered. The worker is there from the start. */
function predictedOf(small: CloudRun, short: CloudRun): Outcome {
  const functionMs = ({ stages }: CloudRun, stage: MeteredStage): number => stages[stage].ms['function'] ?? 0;
  const { run = 0, commit = 0, fetch = 0 } = short.stages.worker.ms;
  const { scenario, measurements } = simulatedHere({
    coreMs: functionMs(short, 'preprocess') / short.images,
    modelMs: (run + commit + fetch) / short.images,
    megapixels: MEGAPIXELS,
    planning: jobTime(small, short, (job) => functionMs(job, 'plan')),
    completion: jobTime(small, short, ({ completionMs }) => completionMs),
  });
  return simulate(
    Scenario.parse({
      ...scenario,
      images: LONG.images,
      packSize: PACK_SIZE,
      shardSize: SHARD_SIZE,
      functions: {
        concurrency: INVOCATIONS,
        firstInvocations: INVOCATIONS,
        // Here the pause begins when a look has come to its end.
        finalizeEveryS: FINALIZE_EVERY_S + short.lookMs / 1000,
      },
      granularity: { cohort: 1, packsPerStep: 1, lotS: 0.01 },
    }),
    measurementsFrom(measurements),
  );
}

/** A straight line through two jobs of different size. */
function jobTime(small: CloudRun, short: CloudRun, ms: (job: CloudRun) => number): JobTime {
  const imageMs = Math.max(1e-6, (ms(short) - ms(small)) / (short.images - small.images));
  return { imageMs, fixedMs: Math.max(0, ms(short) - imageMs * short.images) };
}
