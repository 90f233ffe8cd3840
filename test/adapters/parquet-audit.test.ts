import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { AuditParquetWriter, decodePart, encodePart } from '#adapters/parquet-audit.ts';
import { auditRecord } from '#test/support/audit-record.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const records = [
  auditRecord({
    key: 'a "quoted", ünï.jpg',
    checks: ['dark', 'blurry'],
    verdict: 'review',
    scores: { dark: Math.fround(0.1) },
  }),
  auditRecord({
    key: 'b',
    state: 'unreadable',
    verdict: 'unreadable',
    errorCode: 'truncated',
    errorDetail: 'cut',
    widthPx: null,
  }),
  auditRecord({ key: 'c', bytes: 5_000_000_000, perceptualHash: 'f'.repeat(16) }),
];

const FAILED = { verdict: null, scores: {}, error: 'it did not end' };

describe('a part', () => {
  it('gives back the records it was made from', async () => {
    expect(
      await decodePart(Buffer.from(encodePart(records, ['dark', 'bright'])), ['dark', 'bright']),
    ).toEqual(records);
  });

  it('says what a shadow made of each image, or why it made nothing', async () => {
    const seen = records.map((record, i) => ({
      ...record,
      shadow: i === 0 ? { verdict: null, scores: { nude: 0.5 }, error: null } : FAILED,
    }));
    const all = Buffer.from(encodePart(seen, ['dark'], [], ['nude']));
    expect(await decodePart(all, ['dark'], ['nude'])).toEqual(seen);
    const none = seen.slice(1);
    expect(await decodePart(Buffer.from(encodePart(none, [], [], ['nude'])), [], ['nude'])).toEqual(none);
  });

  it('may be empty of rows and of scores', async () => {
    expect(await decodePart(Buffer.from(encodePart([], [])), [])).toEqual([]);
  });
});

describe('the audit table', () => {
  it('is read by DuckDB, with lists, nulls, 64-bit sizes and float scores', async () => {
    await using folder = await temporaryFolder();
    const writer = new AuditParquetWriter(await new FolderStore(folder.path).createWriter('audit.parquet'), [
      'dark',
    ]);
    for (const record of records) await writer.write(record);
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
