import type { ImageRef } from '#core/image-ref.ts';
import { partKey, refsOfRange } from '#core/job-layout.ts';
import {
  type ExpectedPack,
  expectedRanges,
  type FollowingStage,
  followUpPacks,
  type Plan,
  type Shard,
} from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { ahead } from '../ahead.ts';
import { readFollowUps, readShard } from '../planning/read-plan.ts';
import { partKeys } from './part-keys.ts';

/** Follow-ups that are read ahead of those that are needed. */
const READ_AHEAD = 16;

/**
 * Every pack that a following stage is expected to have, with its refs: those of each part of the stage before, in that
 * stage's order, or those of all ranges. What has no part hands nothing on.
 *
 * @throws SluiceError `object-missing` where follow-ups, or shards, have expired.
 */
export async function* followingPacks(
  plan: Plan,
  stage: FollowingStage,
  works: ObjectStore,
): AsyncGenerator<{ expected: ExpectedPack; refs: ImageRef[] }> {
  if (stage.from === undefined) {
    yield* rootPacks(plan, stage.name, works);
    return;
  }
  const parts = await partKeys(plan.job, stage.from.stage, works);
  const parents: ExpectedPack[] = [];
  for await (const expected of expectedPacks(plan, stage.from.stage, works)) {
    if (parts.has(partKey(expected.pack))) parents.push(expected);
  }
  const read = ({ pack }: ExpectedPack) => readFollowUps(plan.job, stage.name, pack.name, works);
  for await (const { item: parent, result } of ahead(parents, READ_AHEAD, read)) {
    yield* followUpPacks(plan, parent, result);
  }
}

async function* rootPacks(
  plan: Plan,
  stage: string,
  works: ObjectStore,
): AsyncGenerator<{ expected: ExpectedPack; refs: ImageRef[] }> {
  let shard: Shard | undefined;
  for (const expected of expectedRanges(plan, stage)) {
    if (shard?.shard !== expected.shard) shard = await readShard(plan, expected.shard, works);
    yield { expected, refs: refsOfRange(shard.refs, expected.range, plan.packSize) };
  }
}

/** Every pack that is expected of a stage. */
export async function* expectedPacks(
  plan: Plan,
  stage: string,
  works: ObjectStore,
): AsyncGenerator<ExpectedPack> {
  const following = plan.following?.find(({ name }) => name === stage);
  if (following?.from === undefined) yield* expectedRanges(plan, stage);
  else for await (const { expected } of followingPacks(plan, following, works)) yield expected;
}
