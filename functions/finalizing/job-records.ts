import { decodePart } from '#adapters/parquet-audit.ts';
import type { AuditRecord, Receipt } from '#core/audit-record.ts';
import { SluiceError } from '#core/error.ts';
import { packIdText, partKey, type RangeId, refsOfRange } from '#core/job-layout.ts';
import { failedRecord } from '#core/pack-records.ts';
import { expectedRanges, type Plan, packOfRange, type Shard } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { RowSet } from '#core/row-set.ts';
import { ahead } from '../ahead.ts';
import { readShard } from '../planning/read-plan.ts';

/** Where the records of ranges without a part come from. */
export interface FailedRanges {
  /** Why a range has no part. */
  reasonOf(range: RangeId): string;
  readonly policyHash: string;
  readonly softwareVersion: string;
}

/** Is told of each expected part in order: its key and its bytes, `undefined` where it failed. */
export type OnPart = (key: string, part: Uint8Array | undefined) => void;

/** Parts that are read ahead of the one that is needed. */
const PARTS_AHEAD = 16;

/**
 * Every record of a job: first those that are carried over from an earlier job, in that job's order; then one for each
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
    const key = partKey(range.pack);
    onPart(key, part);
    if (shard?.shard !== range.shard) shard = await readShard(plan.job, range.shard, works);
    const refs = refsOfRange(shard.refs, range.range, plan.packSize);
    if (part === undefined) {
      const receipt = failedReceipt(plan, range, failed);
      for (const ref of refs) yield failedRecord(ref, failed.reasonOf(range), receipt);
      continue;
    }
    const records = await decodePart(part, plan.stage.scores);
    const fits = records.length === refs.length && records.every((record, i) => record.key === refs[i]?.key);
    if (!fits) {
      throw new SluiceError(
        'accounting-broken',
        `part "${key}" does not hold the ${refs.length} images of its range: delete it and resume the job`,
      );
    }
    yield* records;
  }
}

/** The rows that an incremental job takes over. */
async function* carriedRecords(plan: Plan, works: ObjectStore): AsyncGenerator<AuditRecord> {
  if (plan.carried === null) return;
  const { body } = await works.get(plan.carried.rows);
  const rows = new RowSet(body.length * 8, body);
  let row = 0;
  for (const table of plan.carried.tables) {
    const { body } = await works.get(table);
    for (const record of await decodePart(body, plan.stage.scores)) if (rows.has(row++)) yield record;
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

function failedReceipt(plan: Plan, range: RangeId, failed: FailedRanges): Receipt {
  return {
    job: plan.job,
    stage: plan.stage.name,
    pack: packIdText(packOfRange(plan, range)),
    model: plan.stage.model,
    modelSha256: plan.stage.modelSha256,
    preprocessHash: plan.stage.preprocessHash,
    policyHash: failed.policyHash,
    softwareVersion: failed.softwareVersion,
    decoderVersion: '',
    provider: '',
  };
}
