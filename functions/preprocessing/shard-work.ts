import { SluiceError } from '#core/error.ts';
import type { ImageRef } from '#core/image-ref.ts';
import { followUpName, type PackId, partKey } from '#core/job-layout.ts';
import type { ShardsMessage } from '#core/messages.ts';
import {
  alikeRoots,
  type Plan,
  type PlannedStage,
  packOfRange,
  type SomeStages,
  stageOf,
} from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { readFollowUps, readShard } from '#functions/planning/read-plan.ts';

/** A pack that is to be made of a range. */
export interface ShardPack {
  /** Of the first stage that sees it. */
  readonly id: PackId;
  /** All that see it: they take pictures in the same way. */
  readonly stages: SomeStages;
}

/** What a message of the queue of shards asks for. */
export interface ShardWork {
  readonly refs: readonly ImageRef[];
  /** The packs of one range of the refs: one for each way in which the stages take pictures. */
  packsOf(range: number): ShardPack[];
}

/** @throws SluiceError `message-malformed` for a stage that the job does not have. */
export async function shardWork(message: ShardsMessage, plan: Plan, works: ObjectStore): Promise<ShardWork> {
  const { job, shard } = message;
  const only = message.stage === undefined ? undefined : stageOf(plan, message.stage);
  if (message.stage !== undefined && only === undefined)
    throw new SluiceError('message-malformed', `job "${job}" has no stage "${message.stage}"`);
  if (message.type === 'shard') {
    const { refs } = await readShard(plan, shard, works);
    const groups = alikeRoots(plan).filter((stages) => only === undefined || stages.includes(only));
    return {
      refs,
      packsOf: (range) =>
        groups.map((stages) => ({ id: packOfRange(job, stages[0].name, { shard, range }), stages })),
    };
  }
  const { parent } = message;
  const stage = only as PlannedStage;
  const { refs } = await readFollowUps(job, stage.name, parent.name, works);
  return {
    refs,
    packsOf: (range) => [
      { id: { job, stage: stage.name, name: followUpName(parent.name, range) }, stages: [stage] },
    ],
  };
}

/** Of some packs those that a stage still waits for, and which stages do: they have no part of it. */
export async function wantedPacks(
  packs: readonly ShardPack[],
  works: ObjectStore,
): Promise<(ShardPack & { readonly without: PlannedStage[] })[]> {
  const looked = await Promise.all(
    packs.map(async (pack) => {
      const parts = await Promise.all(
        pack.stages.map(({ name }) => works.head(partKey({ ...pack.id, stage: name }))),
      );
      return { ...pack, without: pack.stages.filter((_, i) => parts[i] === undefined) };
    }),
  );
  return looked.filter(({ without }) => without.length > 0);
}
