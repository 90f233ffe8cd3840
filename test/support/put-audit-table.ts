import { AuditParquetWriter } from '#adapters/parquet-audit.ts';
import type { AuditRecord } from '#core/audit-record.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';

/** Writes the audit table of a job, without scores. @returns how a completion names it. */
export async function putAuditTable(
  works: ObjectStore,
  key: string,
  records: readonly AuditRecord[],
): Promise<{ key: string; rows: number; bytes: number; sha256: string }> {
  const writer = new AuditParquetWriter(await works.createWriter(key), []);
  for (const record of records) await writer.write(record);
  const written = await writer.finish();
  await writer.commit();
  return { key, ...written };
}
