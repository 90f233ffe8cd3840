import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { latestInventory } from '#adapters/latest-inventory.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const FOLDER = 'inventory/photos/daily/';
const nowMs = Date.parse('2026-03-10T12:00:00Z');

describe('the last report of an inventory', () => {
  it('is the last that is whole, wherever its data lie', async () => {
    await using folder = await temporaryFolder();
    // Pages of two: the reports of a month do not fit into one.
    const reports = new FolderStore(folder.path, { pageSize: 2 });
    const put = (name: string): Promise<unknown> => reports.put(FOLDER + name, Buffer.from('{}'));
    for (const day of ['01', '02', '09']) {
      await put(`2026-03-${day}T01-00Z/manifest.json`);
      await put(`2026-03-${day}T01-00Z/manifest.checksum`);
    }
    await put('2026-03-10T01-00Z/manifest.json');
    for (let file = 0; file < 5; file++) await put(`data/${file}.csv.gz`);
    await put('hive/dt=2026-03-10-01-00/symlink.txt');
    expect(await latestInventory(reports, FOLDER, { nowMs })).toBe(
      `${FOLDER}2026-03-09T01-00Z/manifest.json`,
    );
  });

  it('is asked for by name where none has come for a month', async () => {
    await using folder = await temporaryFolder();
    const reports = new FolderStore(folder.path);
    await reports.put(`${FOLDER}2025-01-01T01-00Z/manifest.json`, Buffer.from('{}'));
    await reports.put(`${FOLDER}2025-01-01T01-00Z/manifest.checksum`, Buffer.from(''));
    await expect(latestInventory(reports, FOLDER, { nowMs })).rejects.toMatchObject({
      code: 'source-invalid',
      message: expect.stringMatching(/inventory\/photos\/daily\/2026-02-07T01-00Z\/manifest\.json.*31 days/),
    });
  });
});
