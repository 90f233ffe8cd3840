import { z } from 'zod';
import { ImageLimits } from './limits.ts';

const MIB = 1024 * 1024;

/** All settings of a run on one machine. Defaults stand here and nowhere else. */
export const RunConfig = z
  .strictObject({
    /** A built-in model's name, or the folder of a model. */
    model: z.string().min(1).default('quality'),
    /** A file (JSON) with stages, each with a model of its own, instead of one model: see {@link Cascade}. */
    cascade: z.string().min(1).optional(),
    /** A policy file (JSON) instead of the model's own policy. */
    policy: z.string().min(1).optional(),
    /** Only keys that match one of these globs; none means all. */
    include: z.array(z.string().min(1)).default([]),
    exclude: z.array(z.string().min(1)).default([]),
    /** Further audit tables beside audit.parquet. */
    formats: z.array(z.enum(['csv', 'jsonl'])).default([]),
    /** Image refs in one shard. */
    shardSize: z.int().min(1).max(10_000).default(512),
    /** Image refs in one pack; left out, it follows from the number of images (64 at the most). */
    packSize: z.int().min(1).max(1024).optional(),
    /** Decoding processes; left out, one for each processor core. */
    processes: z.int().min(1).max(256).optional(),
    /** Images that one decoding process has in hand: a second one hides the first one's reading. */
    imagesInFlight: z.int().min(1).max(64).default(2),
    /** Compressed bytes that one decoding process holds at once. */
    maxInFlightBytes: z
      .int()
      .min(1)
      .default(128 * MIB),
    /** Memory for pictures while they are decoded, by estimate, for each decoding process; one that needs more is decoded alone. */
    maxDecodedBytes: z
      .int()
      .min(1)
      .default(256 * MIB),
    /** Images in one run of the model. */
    batchSize: z.int().min(1).max(4096).default(64),
    /** Wall-clock seconds for one run of a model that does not come with Sluice, of at most 8 images; then it is killed. */
    maxSecondsPerRun: z.number().positive().default(120),
    /** Packs waiting for the model before decoding pauses. */
    backlogPacks: z.int().min(1).default(32),
    limits: ImageLimits.prefault({}),
    /** Exit with code 4 when an image has this verdict or a graver one. */
    failOn: z.enum(['review', 'reject']).optional(),
  })
  .refine((config) => config.packSize === undefined || config.packSize <= config.shardSize, {
    path: ['packSize'],
    message: 'expected at most shardSize: a pack is a range of one shard',
  });
export type RunConfig = z.infer<typeof RunConfig>;

const MAX_PACK_SIZE = 64;
const PACKS_PER_PROCESS = 10;

/**
 * The pack size for a job on one machine: 64, or less for a small job, so that every process has several packs
 * and none sits idle for long while another decodes the last one. Each pack costs some 25 ms of processor time beside its images
 * (queues, batch, part), so a small job's are no smaller than that wants.
 */
export function localPackSize(images: number, processes: number): number {
  return Math.min(MAX_PACK_SIZE, Math.max(4, Math.floor(images / (PACKS_PER_PROCESS * processes))));
}
