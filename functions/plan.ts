import type { SourceEntry } from '#adapters/image-sources.ts';
import type { ImageRef } from '#core/image-ref.ts';
import { planKey, shardKey } from '#core/job-layout.ts';
import { Plan, type PlannedStage, Shard, type SourceProblem } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';

/** Problems kept in the plan by line; more are only counted. */
const MAX_PROBLEMS_KEPT = 1000;

/** What a job is to be, before its images are known. */
export interface JobDescription {
  readonly job: string;
  readonly source: string;
  readonly createdAt: Date;
  readonly stage: PlannedStage;
  readonly shardSize: number;
  /** The size of a pack, once the number of images is known. */
  packSizeFor(images: number): number;
}

/**
 * Enumerates the source and writes the job's shards, then its plan. The plan is written last: a job without a
 * plan has not begun, and planning it again overwrites its shards.
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
  let shard = 0;
  let refs: ImageRef[] = [];
  const flush = async (): Promise<void> => {
    await putJson(works, shardKey(job, shard), { schema: 1, job, shard, refs } satisfies Shard);
    shard++;
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
    shardSize: description.shardSize,
    packSize: description.packSizeFor(images),
    images,
    bytes,
    problems,
    problemCount,
  };
  await putJson(works, planKey(job), plan);
  return plan;
}

/** The plan of a job, or `undefined` where it was never planned to the end. */
export async function readPlan(job: string, works: ObjectStore): Promise<Plan | undefined> {
  const key = planKey(job);
  if ((await works.head(key)) === undefined) return undefined;
  return Plan.parse(JSON.parse((await works.get(key)).body.toString('utf8')));
}

export async function readShard(job: string, shard: number, works: ObjectStore): Promise<Shard> {
  return Shard.parse(JSON.parse((await works.get(shardKey(job, shard))).body.toString('utf8')));
}

async function putJson(works: ObjectStore, key: string, value: unknown): Promise<void> {
  await works.put(key, Buffer.from(JSON.stringify(value)));
}
