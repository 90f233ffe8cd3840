import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { AuditParquetWriter } from '#adapters/parquet-audit.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { VARIED_RECORDS } from '#test/support/varied-records.ts';

describe('the audit table', () => {
  it('is read by DuckDB, with lists, nulls, 64-bit sizes and float scores', async () => {
    await using folder = await temporaryFolder();
    const writer = new AuditParquetWriter(await new FolderStore(folder.path).createWriter('audit.parquet'), [
      'dark',
    ]);
    for (const record of VARIED_RECORDS) await writer.write(record);
    await writer.finish();
    await writer.commit();
    const connection = await (await DuckDBInstance.create()).connect();
    const reader = await connection.runAndReadAll(
      `SELECT key, bytes, list_contains(checks, 'dark') AS dark, width, score_dark FROM '${join(folder.path, 'audit.parquet')}'`,
    );
    expect(reader.getRowObjects()).toEqual([
      { key: 'a "quoted", ünï.jpg', bytes: 1000n, dark: true, width: 640, score_dark: Math.fround(0.1) },
      { key: 'b', bytes: 1000n, dark: false, width: null, score_dark: null },
      { key: 'c', bytes: 5_000_000_000n, dark: false, width: 640, score_dark: null },
    ]);
  });
});
