import { SluiceError } from './error.ts';

/**
 * Where everything of a job lies in the work store, and what each piece is called. All names follow from
 * (job, stage, shard, range), so a redelivered message writes the same object again.
 */

/** One fixed range of a shard: refs `[range · packSize, (range + 1) · packSize)`. */
export interface RangeId {
  readonly job: string;
  readonly stage: string;
  readonly shard: number;
  readonly range: number;
}

export function planKey(job: string): string {
  return `jobs/${job}/plan.json`;
}

export function shardKey(job: string, shard: number): string {
  return `jobs/${job}/shards/${digits(shard, 6)}.json`;
}

/** The pack's id, as it stands in receipts. */
export function packId(id: RangeId): string {
  return `${id.job}/${id.stage}/${rangeName(id)}`;
}

export function packKey(id: RangeId): string {
  return `jobs/${id.job}/packs/${id.stage}/${rangeName(id)}.safetensors`;
}

export function partPrefix(job: string, stage: string): string {
  return `jobs/${job}/parts/${stage}/`;
}

export function partKey(id: RangeId): string {
  return `${partPrefix(id.job, id.stage)}${rangeName(id)}.parquet`;
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

function rangeName(id: RangeId): string {
  return `${digits(id.shard, 6)}-${digits(id.range, 3)}`;
}

function digits(value: number, width: number): string {
  return String(value).padStart(width, '0');
}
