import { decodePart } from '#adapters/parquet-audit.ts';
import type { AuditRecord, Receipt } from '#core/audit-record.ts';
import { SluiceError } from '#core/error.ts';
import { packIdText, partKey, type RangeId, refsOfRange } from '#core/job-layout.ts';
import { failedRecord } from '#core/pack-records.ts';
import { expectedRanges, type Plan, packOfRange, type Shard } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { readShard } from './read-plan.ts';

/** Where the records of ranges without a part come from. */
export interface FailedRanges {
  /** Why a range has no part. */
  reasonOf(range: RangeId): string;
  readonly policyHash: string;
  readonly softwareVersion: string;
}

/**
 * Every record of a job, in plan order: one for each planned ref, taken from its range's part, or made here
 * where the range failed.
 *
 * @throws SluiceError `accounting-broken` where a part does not hold exactly the refs of its range.
 */
export async function* jobRecords(
  plan: Plan,
  works: ObjectStore,
  failed: FailedRanges,
): AsyncGenerator<AuditRecord> {
  let shard: Shard | undefined;
  for (const range of expectedRanges(plan)) {
    if (shard?.shard !== range.shard) shard = await readShard(plan.job, range.shard, works);
    const refs = refsOfRange(shard.refs, range.range, plan.packSize);
    const records = await partRecords(plan, range, works);
    if (records === undefined) {
      const receipt = failedReceipt(plan, range, failed);
      for (const ref of refs) yield failedRecord(ref, failed.reasonOf(range), receipt);
      continue;
    }
    const fits = records.length === refs.length && records.every((record, i) => record.key === refs[i]?.key);
    if (!fits) {
      throw new SluiceError(
        'accounting-broken',
        `part "${partKey(range.pack)}" does not hold the ${refs.length} images of its range: delete it and resume the job`,
      );
    }
    yield* records;
  }
}

async function partRecords(
  plan: Plan,
  range: RangeId,
  works: ObjectStore,
): Promise<AuditRecord[] | undefined> {
  try {
    const { body } = await works.get(partKey(packOfRange(plan, range)));
    return await decodePart(body, plan.stage.scores);
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
