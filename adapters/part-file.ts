import { isDeepStrictEqual } from 'node:util';
import { type FileMetaData, parquetMetadata, parquetReadObjects } from 'hyparquet';
import {
  type AuditRecord,
  partColumns,
  type Receipt,
  recordFromPartRow,
  type TableRow,
} from '#core/audit-record.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { UsageRecord } from '#core/usage.ts';
import { arrayBufferOf, ParquetTable } from './parquet-table.ts';

/** Names in a part's metadata: what its rows have in common, and what it took to make it. */
const RECEIPT_KEY = 'sluice.receipt';
const USAGE_KEY = 'sluice.usage';

/**
 * One part: the audit records of one pack as a Parquet file.
 *
 * @param records of one receipt.
 */
export function encodePart(records: readonly AuditRecord[], usage: readonly UsageRecord[] = []): Uint8Array {
  const receipt = records[0]?.receipt;
  const isOfAnother = records.some(
    (record) => record.receipt !== receipt && !isDeepStrictEqual(record.receipt, receipt),
  );
  if (isOfAnother) throw new SluiceError('internal', 'the records of a part have different receipts');
  const table = new ParquetTable(
    partColumns({
      following: records.some((record) => record.parent !== undefined),
      shadows: records.some((record) => record.shadow !== undefined),
    }),
    {
      kvMetadata: [
        { key: RECEIPT_KEY, value: JSON.stringify(receipt ?? null) },
        { key: USAGE_KEY, value: JSON.stringify(usage) },
      ],
      // Whoever reads a part reads all of it.
      statistics: false,
    },
  );
  table.append(records);
  return table.finish();
}

/**
 * The records of a part, in the order they were written.
 *
 * @throws SluiceError `accounting-broken` for what is no part.
 */
export async function decodePart(file: Buffer): Promise<AuditRecord[]> {
  const bytes = arrayBufferOf(file);
  const metadata = metadataOf(bytes);
  const value = entryOf(metadata, RECEIPT_KEY);
  if (value === undefined) {
    throw new SluiceError(
      'accounting-broken',
      'a part without a receipt, as earlier versions wrote them: delete it and resume the job',
    );
  }
  const receipt = JSON.parse(value) as Receipt;
  const rows: TableRow[] = await parquetReadObjects({ file: bytes, metadata });
  return rows.map((row) => recordFromPartRow(row, receipt));
}

/**
 * What it took to make a part; `undefined` where the part does not say.
 *
 * @throws SluiceError `accounting-broken` for what is no part.
 */
export function usageOfPart(file: Uint8Array): UsageRecord[] | undefined {
  const value = entryOf(metadataOf(arrayBufferOf(file)), USAGE_KEY);
  try {
    return value === undefined ? undefined : UsageRecord.array().parse(JSON.parse(value));
  } catch (cause) {
    throw broken(cause);
  }
}

function entryOf({ key_value_metadata: entries = [] }: FileMetaData, name: string): string | undefined {
  return entries.find(({ key }) => key === name)?.value;
}

function metadataOf(bytes: ArrayBuffer): FileMetaData {
  try {
    return parquetMetadata(bytes);
  } catch (cause) {
    throw broken(cause);
  }
}

function broken(cause: unknown): SluiceError {
  return new SluiceError('accounting-broken', `no Parquet file with usage records: ${messageOf(cause)}`, {
    cause,
  });
}
