import { followUpsKey, planKey } from '#core/job-layout.ts';
import { FollowUps, Plan, plannedShardKey, Shard } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { readJson } from '#functions/json-object.ts';

/** The plan of a job, or `undefined` where it was never planned to the end. */
export function readPlan(job: string, works: ObjectStore): Promise<Plan | undefined> {
  return readJson(works, planKey(job), Plan);
}

/** @throws SluiceError `object-missing` where the job has no such shard (any more). */
export async function readShard(
  plan: Pick<Plan, 'job' | 'writers'>,
  shard: number,
  works: ObjectStore,
): Promise<Shard> {
  return Shard.parse(JSON.parse((await works.get(plannedShardKey(plan, shard))).body.toString('utf8')));
}

/**
 * What the part of the pack `parent` comes to for a stage.
 *
 * @throws SluiceError `object-missing` where there is no such part, or nothing is left of it.
 */
export async function readFollowUps(
  job: string,
  stage: string,
  parent: string,
  works: ObjectStore,
): Promise<FollowUps> {
  const { body } = await works.get(followUpsKey(job, stage, parent));
  return FollowUps.parse(JSON.parse(body.toString('utf8')));
}
