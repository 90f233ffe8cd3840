import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { tableRows } from '#adapters/parquet-table.ts';
import { FOLDER_LAYOUT, writeAudit } from '#functions/finalizing/audit-outputs.ts';
import { auditRecord } from '#test/support/audit-record.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

/** A row group is 20,000 rows; a file ends with the group that fills it. */
const ROWS = 45_000;

describe('the audit table', () => {
  it('is cut into files of a bounded size, every row in one of them, in order', async () => {
    await using folder = await temporaryFolder();
    const store = new FolderStore(folder.path);
    const layout = { ...FOLDER_LAYOUT, table: (n: number) => `part-${n}.parquet`, tableFileBytes: 1000 };
    const files = await writeAudit([], layout, store, ['dark'], async (write) => {
      for (let i = 0; i < ROWS; i++) await write(auditRecord({ key: String(i) }));
    });
    expect(files.map(({ key, rows }) => [key, rows])).toEqual([
      ['part-0.parquet', 20_000],
      ['part-1.parquet', 20_000],
      ['part-2.parquet', 5_000],
    ]);
    let next = 0;
    for (const file of files) {
      const { body } = await store.get(file.key);
      expect(file).toMatchObject({
        bytes: body.length,
        sha256: createHash('sha256').update(body).digest('hex'),
      });
      for (const row of await tableRows(body, ['key'])) expect(row['key']).toBe(String(next++));
    }
    expect(next).toBe(ROWS);
  });

  it('is one file without rows when there are none, and leaves nothing behind when writing fails', async () => {
    await using folder = await temporaryFolder();
    const store = new FolderStore(folder.path);
    const broken = writeAudit(['csv'], FOLDER_LAYOUT, store, [], async (write) => {
      await write(auditRecord());
      throw new Error('no more');
    });
    await expect(broken).rejects.toThrow('no more');
    expect((await store.list()).objects).toEqual([]);
    const [file] = await writeAudit([], FOLDER_LAYOUT, store, [], async () => undefined);
    expect(file?.rows).toBe(0);
  });
});
