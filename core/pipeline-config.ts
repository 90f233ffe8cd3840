import { z } from 'zod';
import { Cascade } from './cascade.ts';
import { Precision } from './engine-artifact.ts';
import { SourceFilter } from './job-request.ts';
import { ImageLimits } from './limits.ts';
import { Policy } from './policy.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

const QueueUrl = z.url({ protocol: /^https?$/, error: "expected a queue's URL" });
const S3Url = z
  .string()
  .regex(/^s3:\/\/[^/]+(\/.*\/)?\/?$/, 'expected s3://<bucket>/ or s3://<bucket>/<prefix>/');

/** What is done about an image with one of these verdicts, once its row is stored. */
export const VerdictAction = z
  .strictObject({
    on: z.array(z.enum(['pass', 'review', 'reject', 'unreadable'])).min(1),
    /** Of the live lane, where somebody waits for it, or of backfills as well. */
    lanes: z.array(z.enum(['live', 'bulk'])).default(['live']),
    /** Tags the object with `sluice:verdict` (and `sluice:checks`). */
    tag: z.boolean().default(false),
    /** Copies the object to this place, under its own bucket's name and key. */
    quarantine: S3Url.optional(),
    /** Sends a verdict message to the pipeline's queue of verdicts. */
    send: z.boolean().default(false),
  })
  .refine((action) => action.tag || action.send || action.quarantine !== undefined, {
    message: 'expected at least one of tag, quarantine and send',
  });
export type VerdictAction = z.infer<typeof VerdictAction>;

/**
 * One pipeline on S3 and SQS: where it lives and how it works. Functions, workers and the command line read the same
 * file. Defaults stand here and nowhere else.
 */
export const PipelineConfig = z
  .strictObject({
    $schema: z.string().optional(),
    /** Where shards, packs, parts and results lie. */
    work: S3Url,
    queues: z.strictObject({
      /** Jobs to be planned. */
      jobs: QueueUrl,
      /** Shards to be preprocessed. */
      shards: QueueUrl,
      /** S3 events, and images that are to be preprocessed at once. */
      events: QueueUrl,
      /** Packs of the live lane. */
      live: QueueUrl,
      /** Packs of backfills. */
      bulk: QueueUrl,
      /** Verdicts, for whoever acts on them. */
      verdicts: QueueUrl.optional(),
    }),
    /** A built-in model's name, or the folder of a model. */
    model: z.string().min(1).default('quality'),
    /** Stages, each with a model of its own, instead of the one model. The live lane runs the first of them. */
    cascade: Cascade.optional(),
    /** Instead of the model's own policy, or of that of the cascade. */
    policy: Policy.optional(),
    /** Image refs in one shard. */
    shardSize: z.int().min(1).max(10_000).default(512),
    /** Image refs in one pack. */
    packSize: z.int().min(1).max(1024).default(64),
    /** In one message and one batch of messages: 1 MiB on SQS, 256 KiB on some services that speak like it. */
    maxMessageBytes: z.int().min(KIB).max(MIB).default(MIB),
    /**
     * Packs up to this size travel inside their message. SQS bills every 64 KiB, so above some 480 KB an object in S3
     * (one PUT, one GET) costs less; below it, a message is also the faster way.
     */
    inlineMessageBytes: z
      .int()
      .min(0)
      .default(480 * KIB),
    /** Packs waiting for workers before preprocessing pauses: stopped workers must not fill the store. */
    maxBacklogPacks: z.int().min(1).default(2000),
    /** One compacted file of the audit table. */
    tableFileBytes: z
      .int()
      .min(1)
      .default(128 * MIB),
    limits: ImageLimits.prefault({}),
    preprocess: z
      .strictObject({
        /** Invocations at the same time. */
        concurrency: z.int().min(2).max(1000).default(100),
        /** Decoding processes in one invocation; left out, one for each processor core. */
        processes: z.int().min(1).max(16).optional(),
        imagesInFlight: z.int().min(1).max(64).default(4),
        maxInFlightBytes: z
          .int()
          .min(1)
          .default(256 * MIB),
        /** Memory for pictures while they are decoded, by estimate, for each decoding process; one that needs more is decoded alone. */
        maxDecodedBytes: z
          .int()
          .min(1)
          .default(512 * MIB),
      })
      .prefault({}),
    worker: z
      .strictObject({
        /** Images in one run of the model. */
        batchSize: z.int().min(1).max(4096).default(256),
        /** Packs of one lane that are loading or loaded while others are inferred. */
        prefetchPacks: z.int().min(1).max(64).default(4),
        /**
         * Wall-clock seconds for one run of a model: of at most 8 images on a CPU, where those that come with Sluice have no
         * limit; of at most `batchSize` on a GPU. One that takes longer is stopped.
         */
        maxSecondsPerRun: z.number().positive().default(120),
        /** How long the first pack of a batch waits for more. */
        maxWaitMs: z.int().min(0).default(50),
        /** What may run the model, in this order: the first that works does, and what did not work is logged. */
        providers: z
          .array(z.enum(['tensorrt', 'cuda', 'cpu']))
          .min(1)
          .default(['cpu']),
        /** What TensorRT engines compute in. CUDA and the CPU run the model as it is. */
        precision: Precision.default('fp16'),
        /** What else TensorRT's builder is told, such as "--noTF32". */
        builderFlags: z.array(z.string().startsWith('--')).default([]),
        /** Threads that read packs; by default none of its own beside the CPU, two beside a GPU. */
        fetchThreads: z.int().min(0).max(16).optional(),
        /** Sessions that take turns on one GPU: one computes, one copies its input, one is being filled. */
        sessions: z.int().min(1).max(8).default(3),
      })
      .prefault({}),
    live: z
      .strictObject({
        /** Which new objects are audited, as for a backfill; by default all but what the pipeline itself writes. */
        filter: SourceFilter.prefault({}),
      })
      .prefault({}),
    actions: z.array(VerdictAction).default([]),
    /** Workers in an auto scaling group that may be empty: who sends work wakes it, who has work in hand is kept. */
    fleet: z.strictObject({ autoScalingGroup: z.string().min(1) }).optional(),
  })
  .refine((config) => config.packSize <= config.shardSize, {
    path: ['packSize'],
    message: 'expected at most shardSize: a pack is a range of one shard',
  })
  .refine((config) => config.inlineMessageBytes <= config.maxMessageBytes, {
    path: ['inlineMessageBytes'],
    message: 'expected at most maxMessageBytes',
  })
  .refine(
    ({ cascade, actions }) => cascade === undefined || !actions.some(({ lanes }) => lanes.includes('bulk')),
    {
      path: ['actions'],
      message:
        'expected only the live lane, because of "cascade": the verdict of a backfill\'s image is known when its job is complete',
    },
  )
  .refine((config) => config.queues.verdicts !== undefined || !config.actions.some((action) => action.send), {
    path: ['queues', 'verdicts'],
    message: 'expected a queue, because an action sends verdicts',
  });
export type PipelineConfig = z.infer<typeof PipelineConfig>;
