import { sha256Hex } from './canonical-json.ts';
import { SluiceError } from './error.ts';

/**
 * Where everything of a job lies in the work store, and what each piece is called. All names follow from
 * (job, stage, name), so a redelivered message writes the same object again. What is kept for different times lies
 * under different first names, because a bucket's lifecycle rules go by prefix.
 */

/** One pack of a job, and the part that comes of it. */
export interface PackId {
  readonly job: string;
  readonly stage: string;
  /** What tells it from the other packs of the stage: a range's {@link rangeName}, or an event's name. */
  readonly name: string;
}

/** One fixed range of a shard: refs `[range · packSize, (range + 1) · packSize)`. */
export interface RangeId {
  readonly shard: number;
  readonly range: number;
}

export function planKey(job: string): string {
  return `jobs/${job}/plan.json`;
}

export function requestKey(job: string): string {
  return `jobs/${job}/request.json`;
}

/** How far the planning of a job has come. */
export function planningKey(job: string): string {
  return `jobs/${job}/planning.json`;
}

/** How many of a job's shards have been sent. */
export function dispatchKey(job: string): string {
  return `jobs/${job}/dispatch.json`;
}

/** @param writer the invocation that wrote it, where several may plan one job. */
export function carriedRowsKey(job: string, writer?: string): string {
  return `shards/${job}/carried${suffix(writer)}.bin`;
}

/** Why a job could not be planned. */
export function brokenKey(job: string): string {
  return `jobs/${job}/broken.json`;
}

/** The proof that a job is complete. */
export function completionKey(job: string): string {
  return `jobs/${job}/completion.json`;
}

export const WORKERS_PREFIX = 'workers/';

export function workerStatusKey(worker: string): string {
  return `${WORKERS_PREFIX}${worker}.json`;
}

/** How the completion of a job has gone that did not come to its end. */
export function finalizingKey(job: string): string {
  return `jobs/${job}/finalizing.json`;
}

/** Where jobs whose names begin so have their parts, their dead letters and what is known of them. */
export function jobPrefixes(begin: string): { parts: string; dead: string; jobs: string } {
  return { parts: `parts/${begin}`, dead: `dead/${begin}`, jobs: `jobs/${begin}` };
}

/** Stands as long as a job is neither complete nor broken. */
export const OPEN_PREFIX = 'open/';

export function openKey(job: string): string {
  return `${OPEN_PREFIX}${job}`;
}

/** The last completed job of a series. */
export function latestKey(series: string): string {
  return `latest/${series}.json`;
}

/** Dead letters of a job, until they are sent again. */
export function deadPrefix(job: string): string {
  return `dead/${job}/`;
}

export function shardPrefix(job: string): string {
  return `shards/${job}/`;
}

/** @param writer the invocation that wrote it, where several may plan one job. */
export function shardKey(job: string, shard: number, writer?: string): string {
  return `${shardPrefix(job)}${digits(shard, 6)}${suffix(writer)}.json`;
}

/** What the images of one part come to for a stage that follows. */
export function followUpsKey(job: string, stage: string, parent: string): string {
  return `shards/${job}/${stage}/${parent}.json`;
}

/** What a batch of images that may have equal pixels came to when they were compared in full. */
export function comparedPixelsKey(job: string, batch: number): string {
  return `shards/${job}/pixels/${digits(batch, 6)}.json`;
}

/** The pack's id, as it stands in receipts. */
export function packIdText(id: PackId): string {
  return `${id.job}/${id.stage}/${id.name}`;
}

/**
 * S3 allows some thousand requests a second to one key prefix: two digits of a hash spread the packs of all jobs
 * over 256 of them.
 */
export function packKey(id: PackId): string {
  const spread = sha256Hex(packIdText(id)).slice(0, 2);
  return `packs/${spread}/${id.job}/${id.stage}/${id.name}.safetensors`;
}

export function partPrefix(job: string, stage: string): string {
  return `parts/${job}/${stage}/`;
}

export function partKey(id: PackId): string {
  return `${partPrefix(id.job, id.stage)}${id.name}.parquet`;
}

/** Where the pixels of a pack's item lie that the model failed on. */
export function quarantineKey(id: PackId, item: number): string {
  return `quarantine/${id.job}/${id.stage}/${id.name}-${item}.safetensors`;
}

/** The name of the pack of a range. */
export function rangeName({ shard, range }: RangeId): string {
  return `${digits(shard, 6)}-${digits(range, 3)}`;
}

/** The name of the pack of a range of a part's follow-ups; `parent` is the name of that part's pack. */
export function followUpName(parent: string, range: number): string {
  return `${parent}.${digits(range, 3)}`;
}

/** How many ranges a shard of so many refs has. */
export function rangesIn(refs: number, packSize: number): number {
  return Math.ceil(refs / packSize);
}

/** The refs of one range. */
export function refsOfRange<T>(refs: readonly T[], range: number, packSize: number): T[] {
  const slice = refs.slice(range * packSize, (range + 1) * packSize);
  if (slice.length === 0)
    throw new SluiceError('internal', `range ${range} lies outside a shard of ${refs.length}`);
  return slice;
}

function suffix(writer: string | undefined): string {
  return writer === undefined ? '' : `-${writer}`;
}

function digits(value: number, width: number): string {
  return String(value).padStart(width, '0');
}
