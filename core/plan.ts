import { z } from 'zod';
import { ImageRef } from './image-ref.ts';
import { type PackId, type RangeId, rangeName, rangesIn } from './job-layout.ts';
import { type ModelManifest, scoreNames } from './model-manifest.ts';
import { PreprocessSpec, preprocessHash } from './preprocess-spec.ts';
import { UsageRecord } from './usage.ts';

/** One model's turn over all images of a job, as the plan fixes it. */
export const PlannedStage = z.strictObject({
  name: z.string(),
  model: z.string(),
  modelSha256: z.string(),
  preprocess: PreprocessSpec,
  preprocessHash: z.string(),
  scores: z.array(z.string()),
});
export type PlannedStage = z.infer<typeof PlannedStage>;

/** A model's stage as a plan fixes it. */
export function plannedStage(manifest: ModelManifest): PlannedStage {
  return {
    name: manifest.name,
    model: manifest.name,
    modelSha256: manifest.sha256,
    preprocess: manifest.preprocess,
    preprocessHash: preprocessHash(manifest.preprocess),
    scores: scoreNames(manifest),
  };
}

/** A manifest line or a listed entry that names no image, and why. Reported, never audited. */
export const SourceProblem = z.strictObject({ line: z.int().min(1), problem: z.string() });
export type SourceProblem = z.infer<typeof SourceProblem>;

/** A job's plan: written once, before any work; everything that is expected follows from it by arithmetic. */
export const Plan = z.strictObject({
  schema: z.literal(1),
  job: z.string(),
  /** What is audited, in words for people. Never an absolute local path. */
  source: z.string(),
  createdAt: z.iso.datetime(),
  stage: PlannedStage,
  /** The bucket that the refs' keys lie in; null where the source is a folder. */
  bucket: z.string().nullable(),
  packSize: z.int().min(1),
  /** The shards in the order of their images, each with the number of its refs. */
  shards: z.array(z.strictObject({ shard: z.int().min(0), refs: z.int().min(1) })),
  /** Images of the shards. */
  images: z.int().min(0),
  bytes: z.int().min(0),
  /**
   * Rows of an earlier job that hold for this one too, because their images have not changed: those at the places set
   * in the object `rows` (see RowSet), `count` of them, of that job's table.
   */
  carried: z
    .strictObject({ job: z.string(), count: z.int().min(0), rows: z.string(), tables: z.array(z.string()) })
    .nullable(),
  problems: z.array(SourceProblem),
  problemCount: z.int().min(0),
  /** What it took to plan it. */
  usage: z.array(UsageRecord).optional(),
});
export type Plan = z.infer<typeof Plan>;

/** Up to `shardSize` image refs: the unit of CPU work. */
export const Shard = z.strictObject({
  schema: z.literal(1),
  job: z.string(),
  shard: z.int().min(0),
  refs: z.array(ImageRef).min(1),
});
export type Shard = z.infer<typeof Shard>;

/** All images that the job answers for: those of its shards, and those whose rows are carried over. */
export function plannedImages(plan: Plan): number {
  return plan.images + (plan.carried?.count ?? 0);
}

/** The pack of one range of the plan. */
export function packOfRange(plan: Pick<Plan, 'job' | 'stage'>, range: RangeId): PackId {
  return { job: plan.job, stage: plan.stage.name, name: rangeName(range) };
}

/** Every range of the plan in order, with its pack and the number of refs in it: one pack and one part each. */
export function* expectedRanges(plan: Plan): Generator<RangeId & { pack: PackId; refs: number }> {
  for (const { shard, refs } of plan.shards) {
    for (let range = 0; range < rangesIn(refs, plan.packSize); range++) {
      yield {
        shard,
        range,
        pack: packOfRange(plan, { shard, range }),
        refs: Math.min(plan.packSize, refs - range * plan.packSize),
      };
    }
  }
}
