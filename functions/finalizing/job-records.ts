import { auditTable } from '#adapters/parquet-audit.ts';
import { decodePart } from '#adapters/part-file.ts';
import type { AuditRecord, Receipt } from '#core/audit-record.ts';
import { SluiceError } from '#core/error.ts';
import { type ImageRef, rowName } from '#core/image-ref.ts';
import { type PackId, packIdText, partKey, refsOfRange } from '#core/job-layout.ts';
import { failedRecord } from '#core/pack-records.ts';
import {
  type ExpectedPack,
  expectedRanges,
  type FollowingStage,
  type Plan,
  type PlannedStage,
  type Shard,
} from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { RowSet } from '#core/row-set.ts';
import { ahead } from '../ahead.ts';
import { readShard } from '../planning/read-plan.ts';
import { followingPacks } from './follow-up-packs.ts';

/** Where the records of packs without a part come from. */
export interface FailedRanges {
  /** Why a pack has no part. */
  reasonOf(expected: ExpectedPack): string;
  readonly policyHash: string;
  readonly softwareVersion: string;
}

/** Is told of each expected part in order: its key and its bytes, `undefined` where it failed. */
export type OnPart = (key: string, part: Uint8Array | undefined) => void;

/** Parts that are read ahead of the one that is needed. */
const PARTS_AHEAD = 16;

/**
 * Every record of a job's first stage: first those that are carried over from an earlier job, in that job's order; then one for each
 * planned ref, in plan order, taken from its range's part, or made here where the range failed.
 *
 * @throws SluiceError `accounting-broken` where a part does not hold exactly the refs of its range.
 */
export async function* jobRecords(
  plan: Plan,
  works: ObjectStore,
  failed: FailedRanges,
  onPart: OnPart = () => undefined,
): AsyncGenerator<AuditRecord> {
  yield* carriedRecords(plan, works);
  let shard: Shard | undefined;
  const parts = ahead(expectedRanges(plan), PARTS_AHEAD, (range) => partOf(partKey(range.pack), works));
  for await (const { item: range, result: part } of parts) {
    onPart(partKey(range.pack), part);
    if (shard?.shard !== range.shard) shard = await readShard(plan, range.shard, works);
    const refs = refsOfRange(shard.refs, range.range, plan.packSize);
    yield* packRecords(plan.stage, range, refs, part, failed);
  }
}

/**
 * Every record of a following stage, in the order of the stage before.
 *
 * @throws SluiceError `accounting-broken` where a part does not hold exactly what it was to hold.
 */
export async function* followingRecords(
  plan: Plan,
  stage: FollowingStage,
  works: ObjectStore,
  failed: FailedRanges,
  onPart: OnPart = () => undefined,
): AsyncGenerator<AuditRecord> {
  const packs = followingPacks(plan, stage, works);
  const parts = ahead(packs, PARTS_AHEAD, ({ expected }) => partOf(partKey(expected.pack), works));
  for await (const { item, result: part } of parts) {
    onPart(partKey(item.expected.pack), part);
    yield* packRecords(stage, item.expected, item.refs, part, failed);
  }
}

async function* packRecords(
  stage: PlannedStage,
  expected: ExpectedPack,
  refs: readonly ImageRef[],
  part: Buffer | undefined,
  failed: FailedRanges,
): AsyncGenerator<AuditRecord> {
  if (part === undefined) {
    const receipt = failedReceipt(stage, expected.pack, failed);
    for (const ref of refs) yield failedRecord(ref, failed.reasonOf(expected), receipt);
    return;
  }
  const records = await decodePart(part);
  const fits =
    records.length === refs.length &&
    records.every((record, i) => rowName(record) === rowName(refs[i] as ImageRef));
  if (!fits) {
    throw new SluiceError(
      'accounting-broken',
      `part "${partKey(expected.pack)}" does not hold the ${refs.length} images of its range: delete it and resume the job`,
    );
  }
  yield* records;
}

/** The rows that an incremental job takes over. */
async function* carriedRecords(plan: Plan, works: ObjectStore): AsyncGenerator<AuditRecord> {
  if (plan.carried === null) return;
  const { body } = await works.get(plan.carried.rows);
  const rows = new RowSet(body.length * 8, body);
  let row = 0;
  for (const table of plan.carried.tables) {
    const { body } = await works.get(table);
    for (const record of await auditTable(body, plan.stage.scores)) if (rows.has(row++)) yield record;
  }
}

async function partOf(key: string, works: ObjectStore): Promise<Buffer | undefined> {
  try {
    return (await works.get(key)).body;
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'object-missing') return undefined;
    throw error;
  }
}

/** The receipt of an image that nobody has judged. */
export function failedReceipt(
  stage: PlannedStage,
  pack: PackId,
  failed: Pick<FailedRanges, 'policyHash' | 'softwareVersion'>,
): Receipt {
  return {
    job: pack.job,
    stage: stage.name,
    pack: packIdText(pack),
    model: stage.model,
    modelSha256: stage.modelSha256,
    originalSha256: stage.originalSha256,
    preprocessHash: stage.preprocessHash,
    decodeHash: stage.decodeHash,
    policyHash: failed.policyHash,
    softwareVersion: failed.softwareVersion,
    decoderVersion: '',
    provider: '',
  };
}
