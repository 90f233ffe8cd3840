import { packKey, partKey, type RangeId, rangesIn, refsOfRange } from '#core/job-layout.ts';
import type { PackMessage, ShardMessage } from '#core/messages.ts';
import type { Plan } from '#core/plan.ts';
import type { MessageQueue } from '#core/ports/message-queue.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { BuiltPack, PackRequest } from './build-pack.ts';
import { readShard } from './plan.ts';

export interface PreprocessPorts {
  readonly works: ObjectStore;
  readonly packs: MessageQueue;
  build(request: PackRequest, signal?: AbortSignal): Promise<BuiltPack>;
  /** Resolves once the pack backlog is below its limit: a stopped worker must not fill the store. */
  roomForPacks(signal?: AbortSignal): Promise<void>;
  onPack?(id: RangeId, pack: BuiltPack): void;
}

/**
 * Makes the packs of one shard and announces them. Ranges whose part exists are done; a range whose pack exists
 * is announced again, since the announcement may have been lost. Safe to repeat at any point.
 */
export async function preprocessShard(
  message: ShardMessage,
  plan: Plan,
  ports: PreprocessPorts,
  signal?: AbortSignal,
): Promise<void> {
  const { refs } = await readShard(message.job, message.shard, ports.works);
  const ranges = Array.from({ length: rangesIn(refs.length, plan.packSize) }, (_, range) => range);
  const outcomes = await Promise.allSettled(
    ranges.map(async (range) => {
      const id: RangeId = { job: plan.job, stage: plan.stage.name, shard: message.shard, range };
      if ((await ports.works.head(partKey(id))) !== undefined) return;
      const existing = await ports.works.head(packKey(id));
      let bytes = existing?.bytes;
      if (bytes === undefined) {
        await ports.roomForPacks(signal);
        const pack = await ports.build(
          {
            id,
            refs: refsOfRange(refs, range, plan.packSize),
            preprocess: plan.stage.preprocess,
            preprocessHash: plan.stage.preprocessHash,
          },
          signal,
        );
        ports.onPack?.(id, pack);
        bytes = pack.bytes;
      }
      await ports.packs.send([JSON.stringify(packMessage(id, bytes))]);
    }),
  );
  // All ranges have come to their end before the shard fails: nothing of it runs on unseen.
  const failure = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}

function packMessage(id: RangeId, bytes: number): PackMessage {
  return { v: 1, type: 'pack', job: id.job, stage: id.stage, shard: id.shard, range: id.range, bytes };
}
