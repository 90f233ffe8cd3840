import { z } from 'zod';
import { StageSource } from './cascade.ts';
import { ImageRef } from './image-ref.ts';
import {
  followUpName,
  type PackId,
  type RangeId,
  rangeName,
  rangesIn,
  refsOfRange,
  shardKey,
} from './job-layout.ts';
import { type ModelManifest, scoreNames } from './model-manifest.ts';
import { decodeHash, ModelReceipt, modelReceipt } from './model-receipt.ts';
import { PreprocessSpec } from './preprocess-spec.ts';
import { UsageRecord } from './usage.ts';

/** One model's turn over all images of a job, as the plan fixes it. */
export const PlannedStage = z.strictObject({
  name: z.string(),
  ...ModelReceipt.shape,
  preprocess: PreprocessSpec,
  scores: z.array(z.string()),
  /** A model that sees the same packs and decides nothing. */
  shadow: z
    .strictObject({
      ...ModelReceipt.pick({ model: true, modelSha256: true, decodeHash: true }).shape,
      scores: z.array(z.string()),
    })
    .optional(),
});
export type PlannedStage = z.infer<typeof PlannedStage>;

/** Another stage of a cascade: it sees what an earlier one hands on, or, without `from`, all images. */
export const FollowingStage = PlannedStage.extend({ from: StageSource.optional() });
export type FollowingStage = z.infer<typeof FollowingStage>;

/** A stage that sees what another one hands on. */
export type Follower = FollowingStage & { readonly from: StageSource };

/** A model's stage as a plan fixes it. */
export function plannedStage(
  manifest: ModelManifest,
  name = manifest.name,
  shadow?: ModelManifest,
): PlannedStage {
  return {
    name,
    ...modelReceipt(manifest),
    preprocess: manifest.preprocess,
    scores: scoreNames(manifest),
    ...(shadow && {
      shadow: {
        model: shadow.name,
        modelSha256: shadow.sha256,
        decodeHash: decodeHash(shadow),
        scores: scoreNames(shadow),
      },
    }),
  };
}

/** A manifest line, or (without a line) something in a folder, that names no image, and why. Reported, never audited. */
export const SourceProblem = z.strictObject({ line: z.int().min(1).optional(), problem: z.string() });
export type SourceProblem = z.infer<typeof SourceProblem>;

/** The problem with the place where it is: "line 4: it names no file". */
export function problemText({ line, problem }: SourceProblem): string {
  return line === undefined ? problem : `line ${line}: ${problem}`;
}

/**
 * Which invocation wrote the shards from the number `from` on. Two may plan one job at the same time, each seeing the
 * source as it is just then: neither overwrites what the other's plan may come to name.
 */
export const ShardWriter = z.strictObject({ from: z.int().min(0), name: z.string() });
export type ShardWriter = z.infer<typeof ShardWriter>;

/** A job's plan: written once, before any work; everything that is expected follows from it by arithmetic. */
export const Plan = z.strictObject({
  schema: z.literal(1),
  job: z.string(),
  /** What is audited, in words for people. Never an absolute local path. */
  source: z.string(),
  createdAt: z.iso.datetime(),
  /** The first stage, which sees all images. */
  stage: PlannedStage,
  /** The other stages of a cascade, each after the one that it follows on, if it does. */
  following: z.array(FollowingStage).min(1).optional(),
  /** The bucket that the refs' keys lie in; null where the source is a folder. */
  bucket: z.string().nullable(),
  packSize: z.int().min(1),
  /** The shards in the order of their images, each with the number of its refs. */
  shards: z.array(z.strictObject({ shard: z.int().min(0), refs: z.int().min(1) })),
  /** Who wrote them, in ascending order; left out where only one ever plans. */
  writers: z.array(ShardWriter).optional(),
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

/** Where one of the plan's shards lies. */
export function plannedShardKey({ job, writers = [] }: Pick<Plan, 'job' | 'writers'>, shard: number): string {
  return shardKey(job, shard, writers.findLast(({ from }) => from <= shard)?.name);
}

/** All images that the job answers for: those of its shards, and those whose rows are carried over. */
export function plannedImages(plan: Plan): number {
  return plan.images + (plan.carried?.count ?? 0);
}

/**
 * What the images of one part come to for a following stage: written before the part, so wherever a part is, its follow-ups
 * are. The first ones that are written stay.
 */
export const FollowUps = z.strictObject({
  schema: z.literal(1),
  job: z.string(),
  stage: z.string(),
  /** The name of the pack that the part came of. */
  parent: z.string(),
  refs: z.array(ImageRef),
});
export type FollowUps = z.infer<typeof FollowUps>;

/** A pack that is expected, and with it a part. */
export interface ExpectedPack {
  readonly pack: PackId;
  /** The shard that its images come from. */
  readonly shard: number;
  /** Which range of its shard, or of its parent's follow-ups, it is made of. */
  readonly range: number;
  readonly refs: number;
  /** Of a following stage's pack: the pack of the stage before. */
  readonly parent?: PackId;
}

/**
 * Every range of the plan in order, with its pack and the number of refs in it: one pack and one part each.
 *
 * @param stage one that sees all images.
 */
export function* expectedRanges(plan: Plan, stage = plan.stage.name): Generator<ExpectedPack> {
  for (const { shard, refs } of plan.shards) {
    for (let range = 0; range < rangesIn(refs, plan.packSize); range++) {
      yield {
        shard,
        range,
        pack: packOfRange(plan.job, stage, { shard, range }),
        refs: Math.min(plan.packSize, refs - range * plan.packSize),
      };
    }
  }
}

/** The pack of one range of the plan at a stage that sees all images. */
export function packOfRange(job: string, stage: string, range: RangeId): PackId {
  return { job, stage, name: rangeName(range) };
}

/** A range of the first stage at each stage that sees all images. */
export function rangeAtRoots(plan: Pick<Plan, 'following'>, range: ExpectedPack): ExpectedPack[] {
  const others = plan.following?.filter(({ from }) => from === undefined) ?? [];
  return [range, ...others.map(({ name }) => ({ ...range, pack: { ...range.pack, stage: name } }))];
}

/** The packs of one part's follow-ups in order, each with its refs. */
export function* followUpPacks(
  plan: Pick<Plan, 'packSize'>,
  { pack: parent, shard }: Pick<ExpectedPack, 'pack' | 'shard'>,
  followUps: Pick<FollowUps, 'stage' | 'refs'>,
): Generator<{ expected: ExpectedPack; refs: ImageRef[] }> {
  const { stage, refs } = followUps;
  for (let range = 0; range < rangesIn(refs.length, plan.packSize); range++) {
    const own = refsOfRange(refs, range, plan.packSize);
    const pack: PackId = { job: parent.job, stage, name: followUpName(parent.name, range) };
    yield { expected: { pack, shard, range, refs: own.length, parent }, refs: own };
  }
}

/** A stage of the plan by its name. */
export function stageOf(plan: Plan, name: string): PlannedStage | FollowingStage | undefined {
  return plan.stage.name === name ? plan.stage : plan.following?.find((stage) => stage.name === name);
}

/** The stages that see all images, in order. */
function rootStages(plan: Pick<Plan, 'stage' | 'following'>): PlannedStage[] {
  return [plan.stage, ...(plan.following ?? []).filter(({ from }) => from === undefined)];
}

/** Stages of a job, at least one of them. */
export type SomeStages = readonly [PlannedStage, ...PlannedStage[]];

/** The stages that see all images: those that take pictures in the same way together, in the order of the first of them. */
export function alikeRoots(plan: Pick<Plan, 'stage' | 'following'>): SomeStages[] {
  const groups = new Map<string, [PlannedStage, ...PlannedStage[]]>();
  for (const stage of rootStages(plan)) {
    const group = groups.get(stage.preprocessHash);
    if (group === undefined) groups.set(stage.preprocessHash, [stage]);
    else group.push(stage);
  }
  return [...groups.values()];
}

/** What a pack is called in the work store: one that several stages see lies there under the name of the first of them. */
export function storedPackOf(
  plan: Pick<Plan, 'stage' | 'following'>,
  { pack, parent }: Pick<ExpectedPack, 'pack' | 'parent'>,
): PackId {
  if (parent !== undefined) return pack;
  const alike = alikeRoots(plan).find((stages) => stages.some(({ name }) => name === pack.stage));
  return { ...pack, stage: alike?.[0].name ?? pack.stage };
}

/** The stages that follow on another one. */
export function followersOf(plan: Pick<Plan, 'following'>, stage: string): Follower[] {
  return (plan.following ?? []).filter((one): one is Follower => one.from?.stage === stage);
}
