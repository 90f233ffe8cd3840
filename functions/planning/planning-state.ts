import { z } from 'zod';
import { S3Source } from '#core/job-request.ts';
import { ShardWriter, SourceProblem } from '#core/plan.ts';
import { UsageRecord } from '#core/usage.ts';
import { SourceSegment } from './source-segments.ts';

/** One segment and how far it is planned. */
export const SegmentState = z.strictObject({
  segment: SourceSegment,
  /** Everything up to here lies in written shards, or is carried. */
  cursor: z.string().optional(),
  done: z.boolean(),
  shards: z.array(z.strictObject({ shard: z.int(), refs: z.int() })),
});
export type SegmentState = z.infer<typeof SegmentState>;

/** How far a job's planning is. What was done after it was last written is done again, by another writer. */
export const PlanningState = z.strictObject({
  schema: z.literal(1),
  /** Where the job's source names no report but a folder of them: the report that was the last one. */
  source: S3Source.optional(),
  segments: z.array(SegmentState),
  nextShard: z.int().min(0),
  writers: z.array(ShardWriter).default([]),
  images: z.int().min(0),
  bytes: z.int().min(0),
  problems: z.array(SourceProblem),
  problemCount: z.int().min(0),
  /** The completed job whose rows may be carried over. */
  base: z.string().nullable(),
  /** Where the rows stand that are carried over so far. */
  carried: z.string().optional(),
  usage: z.array(UsageRecord).optional(),
});
export type PlanningState = z.infer<typeof PlanningState>;
