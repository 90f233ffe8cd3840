import { z } from 'zod';
import { ScalingRule } from '#core/fleet-scaling.ts';

/** How finely a simulation looks. Left out, it follows from the number of images: see {@link granularityOf}. */
const Granularity = z.strictObject({
  /** Invocations of a function that go in step. */
  cohort: z.int().min(1).optional(),
  /** Packs that an invocation makes from one event to the next. */
  packsPerStep: z.int().min(1).optional(),
  /** Seconds of work that a worker takes at a time. */
  lotS: z.number().positive().optional(),
  /** About so many events of each stage are enough; a million events take about a second. */
  events: z.int().min(1000).default(200_000),
});

/** What is to be audited, and by what. Settings are of each pipeline; defaults are those of core/pipeline-config.ts and infra/. */
export const Scenario = z
  .strictObject({
    images: z.int().min(1).max(1e11),
    /** Of an image. */
    megapixels: z.number().positive().max(1000).default(1),
    /** Of an image's file; left out, what a JPEG of that size has. */
    imageBytes: z.number().positive().optional(),
    /** Width and height of the model's input. */
    edgePx: z.int().min(1).default(224),
    packSize: z.int().min(1).max(1024).default(64),
    shardSize: z.int().min(1).max(10_000).default(512),
    /** A source too large for one job is audited by several, prefix by prefix: one invocation must complete each. */
    imagesPerJob: z.int().min(1).default(3_000_000),
    /** Deployments that share the work evenly, each with queues, functions and workers of its own. */
    pipelines: z.int().min(1).max(100).default(1),
    /** Partitions into which S3 has split the source bucket, for all pipelines: it answers 5,500 GETs a second from each. */
    sourcePartitions: z.int().min(1).default(1),
    functions: z
      .strictObject({
        /** One event source goes up to 1,000, and so does a new account. */
        concurrency: z.int().min(1).max(100_000).default(100),
        memoryMib: z.int().min(128).max(10_240).default(3538),
        /** Of `plan` and `finalize`. */
        bigMemoryMib: z.int().min(128).max(10_240).default(5307),
        timeoutS: z.number().positive().default(300),
        /** `finalize` is invoked by a schedule. */
        finalizeEveryS: z.number().positive().default(60),
        /** Where workers lag behind, a shard is handed back, and comes again after this. */
        handedBackS: z.number().positive().default(20),
        /**
         * An event source begins with 5 invocations and adds 300 a minute: "Configuring scaling behavior for SQS event
         * source mappings" in the Lambda guide.
         */
        firstInvocations: z.int().min(1).default(5),
        addedPerMinute: z.number().positive().default(300),
      })
      .prefault({}),
    /** Packs, waiting or in flight, at which preprocessing pauses. */
    maxBacklogPacks: z.int().min(1).default(2000),
    worker: z
      .strictObject({
        batchSize: z.int().min(1).default(256),
        /** Packs that a worker has in hand beside those in the model: what is repeated when it dies unannounced. */
        prefetchPacks: z.int().min(0).default(4),
        sessions: z.int().min(1).default(3),
        /** A message of a worker that died comes again after this. */
        visibilityS: z.number().positive().default(180),
      })
      .prefault({}),
    scaling: ScalingRule.prefault({}),
    spot: z
      .strictObject({
        /** Of one instance, on average. */
        interruptionsPerHour: z.number().min(0).default(0.05),
        /** Between notice and end: "Spot Instance interruption notices" in the EC2 guide. */
        noticeS: z.number().min(0).default(120),
        /** Share of interruptions that come without notice. */
        unannounced: z.number().min(0).max(1).default(0.05),
      })
      .prefault({}),
    /** Messages that SQS lets be in flight, of one queue: "Amazon SQS message quotas". */
    inFlightLimit: z.int().min(1).default(120_000),
    seed: z.int().min(0).default(1),
    granularity: Granularity.prefault({}),
    /** A fleet that needs longer is refused. */
    maxDays: z.number().positive().default(30),
  })
  .refine((scenario) => scenario.packSize <= scenario.shardSize, {
    path: ['packSize'],
    message: 'expected at most shardSize: a pack is a range of one shard',
  });
export type Scenario = z.infer<typeof Scenario>;

/** However coarse, a cohort is no more than this share of all invocations, so that packs come in an even flow. */
const MAX_COHORT_SHARE = 1 / 25;

/** @param workerImagesPerSecond of one worker. */
export function granularityOf(
  { images, packSize, shardSize, functions, granularity }: Scenario,
  workerImagesPerSecond: number,
): { cohort: number; packsPerStep: number; lotS: number } {
  const packsPerEvent = images / packSize / granularity.events;
  const packsPerShard = Math.max(1, Math.floor(shardSize / packSize));
  const packsPerStep =
    granularity.packsPerStep ?? Math.min(packsPerShard, Math.max(1, Math.ceil(packsPerEvent / 4)));
  const largest = Math.max(1, Math.floor(functions.concurrency * MAX_COHORT_SHARE));
  const cohort =
    granularity.cohort ?? Math.min(largest, Math.max(1, Math.ceil(packsPerEvent / packsPerStep)));
  const workerSeconds = images / workerImagesPerSecond;
  const lotS = granularity.lotS ?? Math.min(10, Math.max(1, workerSeconds / granularity.events));
  return { cohort, packsPerStep, lotS };
}
