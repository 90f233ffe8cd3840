import type { ImageRef } from '#core/image-ref.ts';
import { shardKey } from '#core/job-layout.ts';
import type { Shard, ShardWriter } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { RowSet } from '#core/row-set.ts';
import { writeJson } from '../json-object.ts';
import type { BaseIndex } from './base-index.ts';
import type { PlanningState, SegmentState } from './planning-state.ts';
import type { ListedObject } from './source-filter.ts';
import type { SegmentEntry } from './source-segments.ts';

/** Problems kept in the plan by line; more are only counted. */
const MAX_PROBLEMS_KEPT = 1000;

/** What the segments of one job have in common. */
export interface SegmentContext {
  readonly job: string;
  readonly works: ObjectStore;
  readonly state: PlanningState;
  readonly writer: ShardWriter;
  readonly shardSize: number;
  /** The rows that may be carried over, and those that are. */
  readonly index: BaseIndex | undefined;
  readonly carried: RowSet;
  entriesOf(segment: SegmentState): AsyncGenerator<SegmentEntry>;
  wanted(object: ListedObject): boolean;
  timeIsShort(): boolean;
  /** After so many objects a listing may give away half of what is ahead of it. */
  readonly shareAfterObjects: number;
  share(segment: SegmentState, cursor: string): Promise<boolean>;
}

/** Writes the shards of one segment, until it is done or time runs short. */
export async function planSegment(segment: SegmentState, context: SegmentContext): Promise<void> {
  const { job, works, state, writer, index, carried, shareAfterObjects } = context;
  let refs: ImageRef[] = [];
  let unchanged: number[] = [];
  let shareAt = shareAfterObjects;
  let listed = 0;
  const flush = async (cursor: string | undefined): Promise<void> => {
    if (refs.length > 0) {
      const shard = state.nextShard++;
      const key = shardKey(job, shard, writer.name);
      await writeJson(works, key, { schema: 1, job, shard, refs } satisfies Shard);
      segment.shards.push({ shard, refs: refs.length });
      state.images += refs.length;
      state.bytes += refs.reduce((sum, ref) => sum + ref.bytes, 0);
      refs = [];
    }
    // Only now: what is listed again may have changed by then.
    for (const place of unchanged) carried.add(place);
    unchanged = [];
    if (cursor !== undefined) segment.cursor = cursor;
  };
  for await (const { cursor, ref, problem, isSizeUnknown, modifiedAt } of context.entriesOf(segment)) {
    const bytes = isSizeUnknown === true ? undefined : ref?.bytes;
    if (problem !== undefined) {
      state.problemCount++;
      if (state.problems.length < MAX_PROBLEMS_KEPT) state.problems.push(problem);
    } else if (ref !== undefined && context.wanted({ key: ref.key, bytes, modifiedAt })) {
      const place = index?.placeOf(ref.key, ref.etag);
      if (place === undefined) refs.push(ref);
      else unchanged.push(place);
    }
    if (refs.length === context.shardSize || refs.length === 0) await flush(cursor);
    // What is listed and not in a full shard yet is listed again next time.
    if (context.timeIsShort()) return;
    if (++listed < shareAt) continue;
    // What could not be shared now may be later, and each try takes some requests.
    shareAt = listed + ((await context.share(segment, cursor)) ? shareAfterObjects : listed);
  }
  await flush(undefined);
  segment.done = true;
}
