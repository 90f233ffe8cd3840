import { MemoryQueue } from '#adapters/memory-queue.ts';
import type { AuditRecord } from '#core/audit-record.ts';
import { Condition } from '#core/condition.ts';
import type { RunConfig } from '#core/config.ts';
import { messageOf } from '#core/error.ts';
import { packIdText } from '#core/job-layout.ts';
import { type FollowUpMessage, parseMessage, type ShardMessage, ShardsMessage } from '#core/messages.ts';
import type { ModelManifest } from '#core/model-manifest.ts';
import { type ExpectedPack, followersOf, type Plan } from '#core/plan.ts';
import type { Policy } from '#core/policy.ts';
import type { Engine } from '#core/ports/engine.ts';
import type { Lease, MessageQueue } from '#core/ports/message-queue.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { StoreLocation } from '#core/store-location.ts';
import { followingPacks } from '#functions/finalizing/follow-up-packs.ts';
import type { PackRequest } from '#functions/preprocessing/build-pack.ts';
import type { PackProcesses } from '#functions/preprocessing/pack-processes.ts';
import { preprocessShard } from '#functions/preprocessing/preprocess-shard.ts';
import { withHeartbeat } from '#functions/with-heartbeat.ts';
import { handOnTo } from '#workers/follow-ups.ts';
import type { HeldModel } from '#workers/held-models.ts';
import { InferenceWorker } from '#workers/inference-worker.ts';
import { remakePack } from '#workers/remake-pack.ts';

const VISIBILITY_MS = 60_000;
const MAX_DELIVERIES = 3;
/** Two shards at a time, so that the decoding processes never run dry between one shard and the next. */
const SHARDS_IN_FLIGHT = 2;
const PREFETCH_PACKS = 2;

export interface LocalPipelineOptions {
  /** Where the images lie. */
  readonly source: StoreLocation;
  readonly plan: Plan;
  readonly config: RunConfig;
  /** Of the first stage, or the only one. */
  readonly manifest: ModelManifest;
  readonly policy: Policy;
  /** The policies of a cascade's stages, by name. */
  readonly policies?: Readonly<Record<string, Policy>>;
  readonly softwareVersion: string;
  /** Stops feeding; what is under way is finished. */
  readonly stop: AbortSignal;
}

export interface LocalPipelinePorts {
  readonly works: ObjectStore;
  readonly processes: PackProcesses;
  readonly engine: Engine;
  readonly shadow?: HeldModel['shadow'];
  /** The models of the other stages of a cascade. */
  readonly following?: readonly HeldModel[];
  /** The rows of the first stage. */
  onPart(records: readonly AuditRecord[]): void;
  /** So many rows of a stage that follows. */
  onFollowed?(stage: string, rows: number): void;
  /** The model of a stage is given up: what is left of it fails. */
  onStageGivenUp?(stage: string, reason: string): void;
}

/** What a run of the pipeline came to. */
export interface LocalPipelineResult {
  /** False when it was stopped before every range was done. */
  readonly finished: boolean;
  /** Why a pack has no part. */
  reasonOf(expected: ExpectedPack): string;
}

/**
 * The CPU stage and the GPU stage in one process, over in-process queues: what functions, SQS and workers do on
 * AWS. It ends when both queues are empty; a range whose message was delivered too often has no part then.
 */
export async function runLocalPipeline(
  options: LocalPipelineOptions,
  ports: LocalPipelinePorts,
): Promise<LocalPipelineResult> {
  const { plan, config, stop } = options;
  const queuesChange = new Condition();
  const queueOptions = {
    visibilityMs: VISIBILITY_MS,
    maxDeliveries: MAX_DELIVERIES,
    onChange: () => queuesChange.notifyAll(),
  };
  const shards = new MemoryQueue(queueOptions);
  const packs = new MemoryQueue(queueOptions);
  const shardReasons = new Map<string, string>();
  const packReasons = new Map<string, string>();
  const allDone = new AbortController();
  // A stage that breaks, where it should at worst fail a message, ends the run: nobody waits for it in vain.
  const broken = new AbortController();
  const guarded = (stage: Promise<unknown>): Promise<unknown> => stage.catch((error) => broken.abort(error));

  const preprocessPorts = {
    works: ports.works,
    packs,
    build: (request: PackRequest, signal?: AbortSignal) => ports.processes.build(request, signal),
    concurrency: ports.processes.concurrency,
    reserve: async () => {
      await until(async () => (await packs.depth()).waiting < config.backlogPacks, queuesChange, stop);
      return stop.aborted ? undefined : { [Symbol.dispose]: () => undefined };
    },
  };
  const preprocess = async (lease: Lease): Promise<void> => {
    const message = parseMessage(ShardsMessage, lease.body);
    try {
      await withHeartbeat(lease, VISIBILITY_MS, () =>
        preprocessShard(message, plan, preprocessPorts, { source: options.source, signal: stop }),
      );
      await lease.ack();
    } catch (error) {
      shardReasons.set(sourceOf(message), messageOf(error));
      await lease.retry({ reason: messageOf(error) });
    }
  };
  const worker = new InferenceWorker(
    {
      manifest: options.manifest,
      stage: plan.stage.name,
      softwareVersion: options.softwareVersion,
      batchSize: config.batchSize,
      maxWaitMs: 0,
      prefetchPacks: PREFETCH_PACKS,
    },
    {
      works: ports.works,
      bulk: packs,
      engine: ports.engine,
      ...(ports.shadow && { shadow: ports.shadow }),
      ...(ports.following && { following: ports.following }),
      ...(plan.following && {
        followUps: {
          of: async (_job, stage) => followersOf(plan, stage),
          send: handOnTo({ shards, packs }),
        },
      }),
      policyOf: async (_job, stage) => options.policies?.[stage] ?? options.policy,
      remake: (message) => remakePack(message, { shards, events: shards }),
      onPart: (records) => {
        const stage = records[0]?.receipt.stage ?? plan.stage.name;
        if (stage === plan.stage.name) ports.onPart(records);
        else ports.onFollowed?.(stage, records.length);
      },
      ...(ports.onStageGivenUp && { onStageGivenUp: ports.onStageGivenUp }),
      onFailedDelivery: (message, reason) => {
        if (message !== undefined) packReasons.set(packIdText(message), reason);
      },
    },
  );

  await shards.send(
    plan.shards.map(({ shard }) =>
      JSON.stringify({ v: 1, type: 'shard', job: plan.job, shard, remakes: 0 } satisfies ShardMessage),
    ),
  );
  for await (const message of followUpsLeft(plan, ports.works)) await shards.send([JSON.stringify(message)]);
  const noMoreShards = AbortSignal.any([stop, allDone.signal, broken.signal]);
  const preprocessing = guarded(
    Promise.all(Array.from({ length: SHARDS_IN_FLIGHT }, () => consume(shards, noMoreShards, preprocess))),
  );
  const inferring = guarded(worker.run(AbortSignal.any([allDone.signal, broken.signal])));

  // Work goes from one queue to the other and back (a lost pack is made again), and is sent on before it is
  // acknowledged: when both are empty at the same moment, there is none.
  await until(() => areEmpty([shards, packs]), queuesChange, AbortSignal.any([stop, broken.signal]));
  if (stop.aborted) {
    await preprocessing;
    await until(() => areEmpty([packs]), queuesChange, broken.signal);
  }
  allDone.abort();
  await Promise.all([preprocessing, inferring]);
  broken.signal.throwIfAborted();
  return {
    finished: !stop.aborted,
    reasonOf: (expected) =>
      packReasons.get(packIdText(expected.pack)) ??
      shardReasons.get(sourceOf({ ...expected, stage: expected.pack.stage })) ??
      'its message was delivered too often',
  };
}

/** What a pack's refs come from: a shard, or what follows on a pack of the stage before. */
function sourceOf(from: {
  readonly shard: number;
  readonly stage?: string | undefined;
  readonly parent?: { readonly stage: string; readonly name: string };
}): string {
  const { shard, stage, parent } = from;
  return parent === undefined ? `${shard}` : `${stage} of ${parent.stage}/${parent.name}`;
}

/** What an earlier run has left: parts whose follow-ups may not all have been preprocessed. */
async function* followUpsLeft(plan: Plan, works: ObjectStore): AsyncGenerator<FollowUpMessage> {
  for (const following of plan.following ?? []) {
    // What a shard comes to is asked for with the shard.
    if (following.from === undefined) continue;
    for await (const { expected } of followingPacks(plan, following, works)) {
      const { shard, range, parent } = expected;
      if (parent === undefined || range > 0) continue;
      const { stage, name } = parent;
      yield {
        v: 1,
        type: 'follow-up',
        job: plan.job,
        stage: following.name,
        parent: { stage, name },
        shard,
        remakes: 0,
      };
    }
  }
}

/** Receives one message after the other until `stop`. */
async function consume(
  queue: MessageQueue,
  stop: AbortSignal,
  handle: (lease: Lease) => Promise<void>,
): Promise<void> {
  while (!stop.aborted) {
    const leases = await queue.receive({ maxMessages: 1, waitMs: 1000, signal: stop });
    for (const lease of leases) await handle(lease);
  }
}

/** Whether no message is left in the queues, waiting or leased. */
async function areEmpty(queues: readonly MessageQueue[]): Promise<boolean> {
  const depths = await Promise.all(queues.map((queue) => queue.depth()));
  return depths.every(({ waiting, leased }) => waiting + leased === 0);
}

/** Waits until something is so, looking again at each change, or until `stop`. */
async function until(isSo: () => Promise<boolean>, change: Condition, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    // Waited for before looking: what changes meanwhile is not missed.
    const changed = change.wait({ signal: stop });
    if (await isSo()) return;
    await changed;
  }
}
