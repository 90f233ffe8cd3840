import { randomUUID } from 'node:crypto';
import PQueue from 'p-queue';
import { z } from 'zod';
import { type Tally, tallied } from '#adapters/meter.ts';
import { Completion } from '#core/completion.ts';
import { carriedRowsKey, completionKey, latestKey, planKey, planningKey } from '#core/job-layout.ts';
import { type JobRequest, type S3Source, seriesOf, sourceText } from '#core/job-request.ts';
import { isOwn, type OwnPlace } from '#core/own-places.ts';
import type { Plan, PlannedStage, ShardWriter } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { RowSet } from '#core/row-set.ts';
import { readJson, writeJson } from '../json-object.ts';
import { BaseIndex } from './base-index.ts';
import { planSegment, type SegmentContext } from './plan-segment.ts';
import { PlanningState, type SegmentState } from './planning-state.ts';
import { readPlan } from './read-plan.ts';
import { sourceFilter } from './source-filter.ts';
import { currentSource, type SourceSegment, segmentReader, sourceSegments } from './source-segments.ts';
import { boundaryAhead } from './split-listing.ts';

/** Segments that are listed at the same time. */
const LISTINGS_IN_FLIGHT = 16;
/** A listing that has so many objects behind it gives half of what is ahead to another, if there is none to wait for. */
const SHARE_AFTER_OBJECTS = 10_000;
/** With less time than this the planner writes down how far it is. */
const TIME_TO_WRITE_MS = 20_000;

export const LatestJob = z.strictObject({ job: z.string(), plannedAt: z.iso.datetime() });

export interface PlannerOptions {
  readonly stage: PlannedStage;
  readonly following?: Plan['following'];
  readonly shardSize: number;
  readonly packSize: number;
  /** What the pipeline writes itself is not audited, unless the source lies there altogether. */
  readonly ownPlaces?: readonly OwnPlace[];
  readonly shareAfterObjects?: number;
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
 * an image's etag is the same as then and the row would come out the same today; a changed model, preprocess spec or way of reading the model's outputs makes
 * all of them stale. A changed policy does not: finalizing decides on all rows anew. A cascade takes over nothing: what a row hands on lies in the parts of its job.
 *
 * Two invocations may plan one job at once, since queues deliver twice: each writes shards of its own, and the first plan
 * that is written is everybody's.
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
  const known = await readPlan(job, works);
  if (known !== undefined) return known;
  const state =
    (await readJson(works, planningKey(job), PlanningState)) ?? (await begin(request, options, ports));
  const source = state.source ?? request.source;
  const base = state.base === null ? undefined : await readJson(works, completionKey(state.base), Completion);
  const index = base && (await BaseIndex.read(base, options.stage, works));
  const carried = await carriedRows(state.carried, index?.rows ?? 0, works);
  const writer: ShardWriter = { from: state.nextShard, name: randomUUID().slice(0, 8) };

  const timeIsShort = (): boolean => (options.timeLeftMs?.() ?? Number.POSITIVE_INFINITY) < TIME_TO_WRITE_MS;
  const queue = new PQueue({ concurrency: LISTINGS_IN_FLIGHT });
  const listings: Promise<void>[] = [];
  const list = (segment: SegmentState): void => {
    const listing = queue.add(() => planSegment(segment, context));
    // Its turn to be awaited may come later than its failure, or never, after that of another.
    listing.catch(() => undefined);
    listings.push(listing);
  };
  // However keys are spread, no listing is left to go on alone.
  const share = async (segment: SegmentState, cursor: string): Promise<boolean> => {
    if (queue.size > 0 || queue.pending === LISTINGS_IN_FLIGHT) return false;
    const rest = await restAhead(segment, cursor, source, ports, options.signal);
    if (rest === undefined) return false;
    state.segments.splice(state.segments.indexOf(segment) + 1, 0, rest);
    list(rest);
    return true;
  };
  const isWanted = sourceFilter(request.filter);
  const own = ownPlacesWithin(source, options.ownPlaces ?? []);
  const entriesOf = segmentReader(source, ports.openBucket, options.signal);
  const context: SegmentContext = {
    job,
    works,
    state,
    writer,
    shardSize: options.shardSize,
    index,
    carried,
    entriesOf: ({ segment, cursor }) => entriesOf(segment, cursor),
    wanted: (object) => isWanted(object) && !isOwn(own, source.bucket, object.key),
    timeIsShort,
    shareAfterObjects: options.shareAfterObjects ?? SHARE_AFTER_OBJECTS,
    share,
  };
  for (const segment of state.segments.filter(({ done }) => !done)) list(segment);
  // Listings may be added while others are awaited.
  for (const listing of listings) await listing;
  const rows = carriedRowsKey(job, writer.name);
  if (index !== undefined) await works.put(rows, carried.bytes);
  const writers = state.nextShard > writer.from ? [...state.writers, writer] : state.writers;
  if (state.segments.some((segment) => !segment.done)) {
    const usage = tally.seal({ carried: state.usage ?? [], storedBy: works.putRequest });
    await writeJson(works, planningKey(job), {
      ...state,
      writers,
      ...(index && { carried: rows }),
      usage,
    } satisfies PlanningState);
    tally.stored();
    return undefined;
  }
  const plan: Plan = {
    schema: 1,
    job,
    source: sourceText(source),
    bucket: source.bucket,
    createdAt: request.submittedAt,
    stage: options.stage,
    ...(options.following && { following: options.following }),
    packSize: options.packSize,
    shards: state.segments.flatMap((segment) => segment.shards),
    writers,
    images: state.images,
    bytes: state.bytes,
    carried:
      base === undefined
        ? null
        : {
            job: base.job,
            count: carried.count,
            rows,
            tables: base.tables.map((table) => table.key),
          },
    problems: state.problems,
    problemCount: state.problemCount,
    usage: tally.seal({ carried: state.usage ?? [], storedBy: works.putRequest }),
  };
  const body = Buffer.from(JSON.stringify(plan));
  const outcome = await works.put(planKey(job), body, { ifAbsent: true });
  if (outcome === 'written') tally.stored();
  else tally.wasted();
  await works.delete([planningKey(job)]);
  // Not what is in hand: what everybody else works by, and what this put may have written before its answer was lost.
  return outcome === 'written' ? plan : readPlan(job, works);
}

async function begin(
  request: JobRequest,
  options: PlannerOptions,
  ports: PlannerPorts,
): Promise<PlanningState> {
  const source = await currentSource(request.source, ports.openBucket, options.signal);
  const segments = await sourceSegments(source, ports.openBucket, options.signal);
  return {
    schema: 1,
    ...(source !== request.source && { source }),
    segments: segments.map((segment) => ({ segment, done: false, shards: [] })),
    nextShard: 0,
    writers: [],
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
  const same =
    base?.modelSha256 === stage.modelSha256 &&
    base.preprocessHash === stage.preprocessHash &&
    base.decodeHash === stage.decodeHash;
  return same && base.stages === undefined ? latest.job : null;
}

/** Cuts off what lies ahead of a listing, from about the middle of it on; `undefined` where it is left whole. */
async function restAhead(
  { segment }: SegmentState,
  after: string,
  source: S3Source,
  { openBucket }: PlannerPorts,
  signal?: AbortSignal,
): Promise<SegmentState | undefined> {
  if (source.kind !== 'prefix' || segment.kind !== 'keys') return undefined;
  const { bucket, prefix } = source;
  const { to } = segment;
  const boundary = await boundaryAhead(openBucket(bucket), { prefix, after, to }, signal);
  if (boundary === undefined) return undefined;
  segment.to = boundary;
  const rest: SourceSegment = { kind: 'keys', after: boundary, ...(to !== undefined && { to }) };
  return { segment: rest, done: false, shards: [] };
}

/** Who names a list of keys, or a prefix within such a place, means just that. */
function ownPlacesWithin(source: S3Source, places: readonly OwnPlace[]): readonly OwnPlace[] {
  if (source.kind === 'keys') return [];
  const from = source.kind === 'prefix' ? source.prefix : '';
  return places.filter(({ bucket, prefix }) => bucket === source.bucket && !from.startsWith(prefix));
}

async function carriedRows(key: string | undefined, rows: number, works: ObjectStore): Promise<RowSet> {
  if (key === undefined) return new RowSet(rows);
  return new RowSet(rows, Uint8Array.from((await works.get(key)).body));
}
