import type { SourceEntry } from '#adapters/image-sources.ts';
import type { ImageRef } from '#core/image-ref.ts';
import { planKey, shardKey } from '#core/job-layout.ts';
import type { Plan, PlannedStage, Shard, SourceProblem } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { writeJson } from '#functions/json-object.ts';

/** Problems kept in the plan by line; more are only counted. */
const MAX_PROBLEMS_KEPT = 1000;

/** What a job is to be, before its images are known. */
export interface JobDescription {
  readonly job: string;
  readonly source: string;
  /** The bucket that the keys lie in; null for a folder. */
  readonly bucket: string | null;
  readonly createdAt: Date;
  readonly stage: PlannedStage;
  readonly following?: Plan['following'];
  readonly shardSize: number;
  /** The size of a pack, once the number of images is known. */
  packSizeFor(images: number): number;
}

/**
 * Enumerates the source and writes the job's shards, then its plan. The plan is written last: a job without a
 * plan has not begun, and planning it again overwrites its shards. A plan without images is not written: there may be some
 * the next time.
 */
export async function planJob(
  description: JobDescription,
  entries: AsyncIterable<SourceEntry>,
  works: ObjectStore,
  onPlanned: (images: number) => void = () => undefined,
): Promise<Plan> {
  const { job } = description;
  const problems: SourceProblem[] = [];
  let problemCount = 0;
  let images = 0;
  let bytes = 0;
  const shards: Plan['shards'] = [];
  let refs: ImageRef[] = [];
  const flush = async (): Promise<void> => {
    const shard = shards.length;
    await writeJson(works, shardKey(job, shard), { schema: 1, job, shard, refs } satisfies Shard);
    shards.push({ shard, refs: refs.length });
    refs = [];
    onPlanned(images);
  };
  for await (const entry of entries) {
    if ('problem' in entry) {
      problemCount++;
      if (problems.length < MAX_PROBLEMS_KEPT) problems.push(entry.problem);
      continue;
    }
    refs.push(entry.ref);
    images++;
    bytes += entry.ref.bytes;
    if (refs.length === description.shardSize) await flush();
  }
  if (refs.length > 0) await flush();
  const plan: Plan = {
    schema: 1,
    job,
    source: description.source,
    createdAt: description.createdAt.toISOString(),
    stage: description.stage,
    ...(description.following && { following: description.following }),
    bucket: description.bucket,
    packSize: description.packSizeFor(images),
    shards,
    images,
    bytes,
    carried: null,
    problems,
    problemCount,
  };
  if (images > 0) await writeJson(works, planKey(job), plan);
  return plan;
}
