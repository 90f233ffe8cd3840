import PQueue from 'p-queue';
import { inCallersTally, type Tally, tallied } from '#adapters/meter.ts';
import { sqsRequestsOf } from '#core/cost/bill.ts';
import { packKey, rangesIn, refsOfRange } from '#core/job-layout.ts';
import type { PackMessage, ShardsMessage } from '#core/messages.ts';
import type { Plan } from '#core/plan.ts';
import type { MessageQueue } from '#core/ports/message-queue.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { StoreLocation } from '#core/store-location.ts';
import type { BuiltPack, PackRequest } from './build-pack.ts';
import { announcePack, inlineBytes, storedPack } from './pack-announcer.ts';
import type { PackTarget } from './pack-tensor.ts';
import { type ShardPack, shardWork, wantedPacks } from './shard-work.ts';

export interface PreprocessPorts {
  readonly works: ObjectStore;
  readonly packs: MessageQueue;
  build(request: PackRequest, signal?: AbortSignal): Promise<BuiltPack>;
  /** Packs that `build` makes at the same time. */
  readonly concurrency: number;
  /**
   * A place for one more pack in the backlog, given back once the pack is announced; `undefined` where workers lag
   * behind. A machine's own pipeline waits for one instead.
   */
  reserve(signal?: AbortSignal): Promise<Disposable | undefined>;
  onPack?(built: BuiltPack): void;
}

export interface PreprocessOptions {
  readonly source: StoreLocation;
  readonly signal?: AbortSignal;
  /** Milliseconds that are left for all of it; left out, there is no end. */
  timeLeftMs?(): number;
}

/** The ranges that were not begun: send them again, and they will be done. */
export interface PreprocessOutcome {
  readonly left: readonly number[];
}

/** A range is not begun with less time than this: the first one's duration is not known yet. */
const MIN_TIME_FOR_RANGE_MS = 15_000;
/** Nor with less than the longest one so far has taken, and some more. */
const TIME_SAFETY = 1.5;

/**
 * Makes the packs of one shard, or of the follow-ups of one part, and announces them to the stages that see them. Ranges whose parts exist are done; a pack that exists
 * is announced again, since the announcement may have been lost. Safe to repeat at any point.
 *
 * When time runs short or workers fall behind, the ranges that are not begun are handed back: what is done is done.
 */
export async function preprocessShard(
  message: ShardsMessage,
  plan: Plan,
  ports: PreprocessPorts,
  options: PreprocessOptions,
): Promise<PreprocessOutcome> {
  const { refs, packsOf } = await shardWork(message, plan, ports.works);
  const queue = new PQueue({ concurrency: ports.concurrency });
  const left: number[] = [];
  let longestMs = 0;
  const timeIsShort = (): boolean =>
    (options.timeLeftMs?.() ?? Number.POSITIVE_INFINITY) <
    Math.max(MIN_TIME_FOR_RANGE_MS, longestMs * TIME_SAFETY);

  /** Of one read of the range's images. */
  const makePacks = async (packs: readonly ShardPack[], range: number): Promise<BuiltPack[]> => {
    const startedMs = performance.now();
    const [first, ...also] = packs.map(targetOf) as [PackTarget, ...PackTarget[]];
    const request: PackRequest = {
      ...first,
      source: options.source,
      refs: refsOfRange(refs, range, plan.packSize),
      ...(also.length > 0 && { also }),
    };
    const made = await ports.build(request, options.signal);
    longestMs = Math.max(longestMs, performance.now() - startedMs);
    ports.onPack?.(made);
    return [made, ...(made.also ?? [])];
  };

  const preprocessRange = async (range: number, tally: Tally): Promise<void> => {
    const wanted = await wantedPacks(packsOf(range), ports.works);
    if (wanted.length === 0) return;
    // A pack that is asked for again was damaged or is gone; it must not be announced as it is.
    const remade = message.remakes > 0;
    if (remade) await ports.works.delete(wanted.map(({ id }) => packKey(id)));
    const built = new Map<ShardPack, BuiltPack>();
    for (const pack of wanted) {
      const stored = remade ? undefined : await storedPack(pack.id, ports.works);
      if (stored !== undefined) built.set(pack, stored);
    }
    const missing = wanted.filter((pack) => !built.has(pack));
    // Another try has made them: whatever this one costs comes on top.
    const waste = missing.length === 0 || remade;
    using place = missing.length > 0 && !timeIsShort() ? await ports.reserve(options.signal) : undefined;
    if (missing.length > 0) {
      if (place === undefined) {
        left.push(range);
        return;
      }
      for (const [i, made] of (await makePacks(missing, range)).entries()) {
        if (made.usage !== undefined) tally.add(made.usage.after);
        built.set(missing[i] as ShardPack, made);
      }
    }
    const origin: PackMessage['origin'] = {
      lane: 'bulk',
      bucket: plan.bucket,
      shard: message.shard,
      range,
      remakes: message.remakes,
      ...(message.type === 'follow-up' && { parent: message.parent }),
    };
    for (const pack of wanted) {
      const { id, stages, without } = pack;
      const made = built.get(pack) as BuiltPack;
      const names = stages.map(({ name }) => name);
      for (const [i, stage] of without.entries()) {
        const usage = tally.seal({
          waste,
          carried: i === 0 ? (made.usage?.inHeader ?? []) : [],
          storedBy: ports.packs.sendRequest,
          units: sqsRequestsOf(inlineBytes(made)),
        });
        await announcePack({ ...id, stage: stage.name }, stage, origin, made, ports.packs, usage, names);
        tally.confirm();
      }
    }
    tally.stored();
  };

  const ranges =
    message.ranges ?? Array.from({ length: rangesIn(refs.length, plan.packSize) }, (_, range) => range);
  const outcomes = await Promise.allSettled(
    ranges.map((range) =>
      queue.add(inCallersTally(() => tallied('preprocess', (tally) => preprocessRange(range, tally)))),
    ),
  );
  // All ranges have come to their end before the shard fails: nothing of it runs on unseen.
  const failure = outcomes.find((settled) => settled.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
  return { left };
}

function targetOf({ id, stages }: ShardPack): PackTarget {
  const [{ preprocess, preprocessHash }] = stages;
  return { id, preprocess, preprocessHash };
}
