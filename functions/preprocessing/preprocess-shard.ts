import PQueue from 'p-queue';
import { inCallersTally, type Tally, tallied } from '#adapters/meter.ts';
import { sqsRequestsOf } from '#core/cost/bill.ts';
import { SluiceError } from '#core/error.ts';
import type { ImageRef } from '#core/image-ref.ts';
import {
  followUpName,
  type PackId,
  packKey,
  partKey,
  rangeName,
  rangesIn,
  refsOfRange,
} from '#core/job-layout.ts';
import type { PackMessage, ShardsMessage } from '#core/messages.ts';
import { type Plan, type PlannedStage, stageOf } from '#core/plan.ts';
import type { MessageQueue } from '#core/ports/message-queue.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { StoreLocation } from '#core/store-location.ts';
import { readFollowUps, readShard } from '#functions/planning/read-plan.ts';
import type { BuiltPack, PackRequest } from './build-pack.ts';
import { announcePack, inlineBytes, storedPack } from './pack-announcer.ts';

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

/** Where the refs of a message come from, and what is made of them. */
interface Work {
  readonly refs: readonly ImageRef[];
  readonly stage: PlannedStage;
  packOf(range: number): PackId;
}

async function workOf(message: ShardsMessage, plan: Plan, works: ObjectStore): Promise<Work> {
  const { job, shard } = message;
  if (message.type === 'shard') {
    const { refs } = await readShard(plan, shard, works);
    const { stage } = plan;
    return {
      refs,
      stage,
      packOf: (range) => ({ job, stage: stage.name, name: rangeName({ shard, range }) }),
    };
  }
  const { parent } = message;
  const stage = stageOf(plan, message.stage);
  if (stage === undefined)
    throw new SluiceError('message-malformed', `job "${job}" has no stage "${message.stage}"`);
  const { refs } = await readFollowUps(job, stage.name, parent.name, works);
  return {
    refs,
    stage,
    packOf: (range) => ({ job, stage: stage.name, name: followUpName(parent.name, range) }),
  };
}

/**
 * Makes the packs of one shard, or of the follow-ups of one part, and announces them. Ranges whose part exists are done; a range whose pack exists
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
  const { refs, stage, packOf } = await workOf(message, plan, ports.works);
  const queue = new PQueue({ concurrency: ports.concurrency });
  const left: number[] = [];
  let longestMs = 0;
  const timeIsShort = (): boolean =>
    (options.timeLeftMs?.() ?? Number.POSITIVE_INFINITY) <
    Math.max(MIN_TIME_FOR_RANGE_MS, longestMs * TIME_SAFETY);

  const preprocessRange = async (range: number, tally: Tally): Promise<void> => {
    const id = packOf(range);
    if ((await ports.works.head(partKey(id))) !== undefined) return;
    // A pack that is asked for again was damaged or is gone; it must not be announced as it is.
    const remade = message.remakes > 0;
    if (remade) await ports.works.delete([packKey(id)]);
    let built = remade ? undefined : await storedPack(id, ports.works);
    // Another try has made it: whatever this one costs comes on top.
    const waste = built !== undefined || remade;
    using place = built === undefined && !timeIsShort() ? await ports.reserve(options.signal) : undefined;
    if (built === undefined) {
      if (place === undefined) {
        left.push(range);
        return;
      }
      const startedMs = performance.now();
      built = await ports.build(
        {
          id,
          source: options.source,
          refs: refsOfRange(refs, range, plan.packSize),
          preprocess: stage.preprocess,
          preprocessHash: stage.preprocessHash,
        },
        options.signal,
      );
      if (built.usage !== undefined) tally.add(built.usage.after);
      longestMs = Math.max(longestMs, performance.now() - startedMs);
      ports.onPack?.(built);
    }
    const origin: PackMessage['origin'] = {
      lane: 'bulk',
      bucket: plan.bucket,
      shard: message.shard,
      range,
      remakes: message.remakes,
      ...(message.type === 'follow-up' && { parent: message.parent }),
    };
    const usage = tally.seal({
      waste,
      carried: built.usage?.inHeader ?? [],
      storedBy: ports.packs.sendRequest,
      units: sqsRequestsOf(inlineBytes(built)),
    });
    await announcePack(id, origin, built, ports.packs, usage);
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
