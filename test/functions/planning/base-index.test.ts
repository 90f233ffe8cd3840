import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import type { AuditRecord } from '#core/audit-record.ts';
import { BaseIndex } from '#functions/planning/base-index.ts';
import { auditRecord } from '#test/support/audit-record.ts';
import { putAuditTable } from '#test/support/put-audit-table.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const STAGE = { modelSha256: 'f'.repeat(64), preprocessHash: 'p', decodeHash: 'd' };

/** The places of records' rows in an index of the job that they are the table of. */
async function placesOf(records: readonly AuditRecord[]): Promise<(number | undefined)[]> {
  await using folder = await temporaryFolder();
  const works = new FolderStore(folder.path);
  await putAuditTable(works, 'table.parquet', records);
  const table = { key: 'table.parquet', rows: records.length, bytes: 0, sha256: '' };
  const index = await BaseIndex.read({ tables: [table] }, STAGE, works);
  return records.map(({ key, etag }) => index.placeOf(key, etag));
}

const refused = (key: string, errorCode: AuditRecord['errorCode']): AuditRecord =>
  auditRecord({ key, state: 'unreadable', verdict: 'unreadable', errorCode });

describe('the rows that an incremental job may take over', () => {
  it('are those of images that were audited, or that no other night can read either', async () => {
    expect(
      await placesOf([auditRecord({ key: 'a' }), refused('b', 'corrupt'), refused('c', 'empty')]),
    ).toEqual([0, 1, 2]);
  });

  it('are not those of images that failed, or that could not be read that night', async () => {
    const failed = auditRecord({ key: 'a', state: 'failed', verdict: null, errorCode: 'dead-letter' });
    const codes = ['forbidden', 'missing', 'timed-out'] as const;
    const rows = [failed, ...codes.map((code) => refused(code, code)), auditRecord({ key: 'b' })];
    expect(await placesOf(rows)).toEqual([undefined, undefined, undefined, undefined, 4]);
  });

  it('are not those that another model, another preprocessing or another reading of outputs made', async () => {
    const { receipt } = auditRecord();
    expect(
      await placesOf([
        auditRecord({ key: 'a', receipt: { ...receipt, modelSha256: 'e'.repeat(64) } }),
        auditRecord({ key: 'b', receipt: { ...receipt, preprocessHash: 'q' } }),
        auditRecord({ key: 'c', receipt: { ...receipt, decodeHash: 'e' } }),
        auditRecord({ key: 'd' }),
      ]),
    ).toEqual([undefined, undefined, undefined, 3]);
  });
});
