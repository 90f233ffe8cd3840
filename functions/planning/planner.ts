import PQueue from 'p-queue';
import { z } from 'zod';
import { type Tally, tallied } from '#adapters/meter.ts';
import { Completion } from '#core/completion.ts';
import type { ImageRef } from '#core/image-ref.ts';
import {
  carriedRowsKey,
  completionKey,
  latestKey,
  planKey,
  planningKey,
  shardKey,
} from '#core/job-layout.ts';
import { type JobRequest, seriesOf, sourceText } from '#core/job-request.ts';
import { Plan, type PlannedStage, type Shard, SourceProblem } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { RowSet } from '#core/row-set.ts';
import { UsageRecord } from '#core/usage.ts';
import { readJson, writeJson } from '../json-object.ts';
import { BaseIndex } from './base-index.ts';
import { sourceFilter } from './source-filter.ts';
import { SourceSegment, segmentEntries, sourceSegments } from './source-segments.ts';

/** Segments that are listed at the same time. */
const LISTINGS_IN_FLIGHT = 16;
/** Problems kept in the plan by line; more are only counted. */
const MAX_PROBLEMS_KEPT = 1000;
/** With less time than this the planner writes down how far it is. */
const TIME_TO_WRITE_MS = 20_000;

/** One segment and how far it is planned. */
const SegmentState = z.strictObject({
  segment: SourceSegment,
  /** Everything up to here lies in written shards, or is carried. */
  cursor: z.string().optional(),
  done: z.boolean(),
  shards: z.array(z.strictObject({ shard: z.int(), refs: z.int() })),
});

/** How far a job's planning is. What was done after it was last written is done again, and overwritten. */
const PlanningState = z.strictObject({
  schema: z.literal(1),
  segments: z.array(SegmentState),
  nextShard: z.int().min(0),
  images: z.int().min(0),
  bytes: z.int().min(0),
  problems: z.array(SourceProblem),
  problemCount: z.int().min(0),
  /** The completed job whose rows may be carried over. */
  base: z.string().nullable(),
  usage: z.array(UsageRecord).optional(),
});
type PlanningState = z.infer<typeof PlanningState>;

export const LatestJob = z.strictObject({ job: z.string(), plannedAt: z.iso.datetime() });

export interface PlannerOptions {
  readonly stage: PlannedStage;
  readonly following?: Plan['following'];
  readonly shardSize: number;
  readonly packSize: number;
  /** Milliseconds that are left; left out, there is no end. */
  timeLeftMs?(): number;
  readonly signal?: AbortSignal;
}

export interface PlannerPorts {
  readonly works: ObjectStore;
  openBucket(bucket: string): ObjectStore;
}

/**
 * Enumerates the source of a job on S3 and writes its shards, then its plan. Segments of the source are listed at the
 * same time; shards are numbered as they come and ordered in the plan as the source is.
 *
 * An incremental job takes over the rows of the last completed job of its series (same source, filter and model) where
 * an image's etag is the same as then; a changed model or preprocess spec makes all of them stale. A changed policy does
 * not: finalizing decides on all rows anew. A cascade takes over nothing: what a row hands on lies in the parts of its job.
 *
 * @returns the plan, or `undefined` when time ran short: call again, and it goes on.
 */
export async function planRequest(
  request: JobRequest,
  options: PlannerOptions,
  ports: PlannerPorts,
): Promise<Plan | undefined> {
  return tallied('plan', (tally) => plan(request, options, ports, tally));
}

async function plan(
  request: JobRequest,
  options: PlannerOptions,
  ports: PlannerPorts,
  tally: Tally,
): Promise<Plan | undefined> {
  const { job } = request;
  const { works } = ports;
  const known = await readJson(works, planKey(job), Plan);
  if (known !== undefined) return known;
  const state =
    (await readJson(works, planningKey(job), PlanningState)) ?? (await begin(request, options, ports));
  const base = state.base === null ? undefined : await readJson(works, completionKey(state.base), Completion);
  const index = base && (await BaseIndex.read(base, works));
  const carried = await carriedRows(job, index?.rows ?? 0, works);

  const timeIsShort = (): boolean => (options.timeLeftMs?.() ?? Number.POSITIVE_INFINITY) < TIME_TO_WRITE_MS;
  const queue = new PQueue({ concurrency: LISTINGS_IN_FLIGHT });
  const open = state.segments.filter((segment) => !segment.done);
  await queue.addAll(
    open.map(
      (segment) => () =>
        planSegment(segment, { request, options, ports, state, index, carried, timeIsShort }),
    ),
  );
  if (index !== undefined) await works.put(carriedRowsKey(job), carried.bytes);
  if (state.segments.some((segment) => !segment.done)) {
    const usage = tally.seal({ carried: state.usage ?? [], storedBy: works.putRequest });
    await writeJson(works, planningKey(job), { ...state, usage });
    tally.stored();
    return undefined;
  }
  const plan: Plan = {
    schema: 1,
    job,
    source: sourceText(request.source),
    bucket: request.source.bucket,
    createdAt: request.submittedAt,
    stage: options.stage,
    ...(options.following && { following: options.following }),
    packSize: options.packSize,
    shards: state.segments.flatMap((segment) => segment.shards),
    images: state.images,
    bytes: state.bytes,
    carried:
      base === undefined
        ? null
        : {
            job: base.job,
            count: carried.count,
            rows: carriedRowsKey(job),
            tables: base.tables.map((table) => table.key),
          },
    problems: state.problems,
    problemCount: state.problemCount,
    usage: tally.seal({ carried: state.usage ?? [], storedBy: works.putRequest }),
  };
  await writeJson(works, planKey(job), plan);
  tally.stored();
  await works.delete([planningKey(job)]);
  return plan;
}

async function begin(
  request: JobRequest,
  options: PlannerOptions,
  ports: PlannerPorts,
): Promise<PlanningState> {
  const segments = await sourceSegments(request.source, ports.openBucket, options.signal);
  return {
    schema: 1,
    segments: segments.map((segment) => ({ segment, done: false, shards: [] })),
    nextShard: 0,
    images: 0,
    bytes: 0,
    problems: [],
    problemCount: 0,
    base:
      request.incremental && options.following === undefined
        ? await baseOf(request, options.stage, ports.works)
        : null,
  };
}

/** The last completed job whose scores would come out the same today. */
async function baseOf(request: JobRequest, stage: PlannedStage, works: ObjectStore): Promise<string | null> {
  const latest = await readJson(works, latestKey(seriesOf(request, stage.model)), LatestJob);
  if (latest === undefined) return null;
  const base = await readJson(works, completionKey(latest.job), Completion);
  const same = base?.modelSha256 === stage.modelSha256 && base.preprocessHash === stage.preprocessHash;
  return same && base.stages === undefined ? latest.job : null;
}

async function carriedRows(job: string, rows: number, works: ObjectStore): Promise<RowSet> {
  if (rows === 0 || (await works.head(carriedRowsKey(job))) === undefined) return new RowSet(rows);
  return new RowSet(rows, Uint8Array.from((await works.get(carriedRowsKey(job))).body));
}

async function planSegment(
  segment: z.infer<typeof SegmentState>,
  context: {
    request: JobRequest;
    options: PlannerOptions;
    ports: PlannerPorts;
    state: PlanningState;
    index: BaseIndex | undefined;
    carried: RowSet;
    timeIsShort: () => boolean;
  },
): Promise<void> {
  const { request, options, ports, state, index, carried } = context;
  const { job, source } = request;
  const wanted = sourceFilter(request.filter);
  let refs: ImageRef[] = [];
  let unchanged: number[] = [];
  const flush = async (cursor: string | undefined): Promise<void> => {
    if (refs.length > 0) {
      const shard = state.nextShard++;
      await writeJson(ports.works, shardKey(job, shard), { schema: 1, job, shard, refs } satisfies Shard);
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
  const entries = segmentEntries(source, segment.segment, segment.cursor, ports.openBucket, options.signal);
  for await (const { cursor, ref, problem, modifiedAt } of entries) {
    if (problem !== undefined) {
      state.problemCount++;
      if (state.problems.length < MAX_PROBLEMS_KEPT) state.problems.push(problem);
    } else if (ref !== undefined && wanted({ ...ref, modifiedAt })) {
      const place = index?.placeOf(ref.key, ref.etag);
      if (place === undefined) refs.push(ref);
      else unchanged.push(place);
    }
    if (refs.length === options.shardSize || refs.length === 0) await flush(cursor);
    // What is listed and not in a full shard yet is listed again next time.
    if (context.timeIsShort()) return;
  }
  await flush(undefined);
  segment.done = true;
}
