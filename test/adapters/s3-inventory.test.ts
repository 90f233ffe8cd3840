import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { type InventoryEntry, inventoryFileEntries, readInventoryManifest } from '#adapters/s3-inventory.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const SCHEMA = 'Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag';
const CSV = [
  '"photos","a+b/%C3%BC%2C.jpg","v1","true","false","12","2026-11-01T00:00:00.000Z","e1"',
  '"photos","old.jpg","v0","false","false","9","2026-10-01T00:00:00.000Z","e0"',
  '"photos","deleted.jpg","v2","true","true","","2026-11-02T00:00:00.000Z",""',
  '"photos","plain.jpg","v3","true","false","7","2026-11-03T00:00:00.000Z","e3"',
].join('\n');

/** A report whose only data file is this one. */
async function report(format: string, file: Uint8Array, change: object = {}) {
  const folder = await temporaryFolder();
  const store = new FolderStore(folder.path);
  await store.put('data/1', file);
  const md5 = createHash('md5').update(file).digest('hex');
  const manifest = {
    sourceBucket: 'photos',
    destinationBucket: 'arn:aws:s3:::reports',
    version: '2016-11-30',
    fileFormat: format,
    fileSchema: SCHEMA,
    files: [{ key: 'data/1', size: file.length, MD5checksum: md5 }],
    ...change,
  };
  await store.put('manifest.json', Buffer.from(JSON.stringify(manifest)));
  const entries = async (): Promise<InventoryEntry[]> => {
    const all: InventoryEntry[] = [];
    const manifest = await readInventoryManifest(store, 'manifest.json');
    for await (const entry of inventoryFileEntries(store, manifest, 0)) all.push(entry);
    return all;
  };
  return { ...folder, store, entries };
}

describe('an S3 inventory', () => {
  it('is read from CSV: current objects only, keys decoded', async () => {
    await using csv = await report('CSV', gzipSync(CSV));
    expect(await csv.entries()).toEqual([
      {
        ref: { key: 'a b/ü,.jpg', etag: 'e1', bytes: 12 },
        lastModified: new Date('2026-11-01T00:00:00Z'),
      },
      { ref: { key: 'plain.jpg', etag: 'e3', bytes: 7 }, lastModified: new Date('2026-11-03T00:00:00Z') },
    ]);
  });

  it('is read from Parquet', async () => {
    const file = parquetWriteBuffer({
      columnData: [
        { name: 'bucket', data: ['photos', 'photos'], type: 'STRING' },
        { name: 'key', data: ['a b/ü.jpg', 'gone.jpg'], type: 'STRING' },
        { name: 'is_delete_marker', data: [false, true], type: 'BOOLEAN' },
        { name: 'size', data: [12n, 0n], type: 'INT64' },
        { name: 'e_tag', data: ['e1', ''], type: 'STRING' },
      ],
    });
    await using parquet = await report('Parquet', new Uint8Array(file));
    expect(await parquet.entries()).toEqual([{ ref: { key: 'a b/ü.jpg', etag: 'e1', bytes: 12 } }]);
  });

  it('is refused in ORC, damaged, or when it is something else', async () => {
    await using orc = await report('ORC', Buffer.from(''));
    await expect(orc.entries()).rejects.toMatchObject({
      code: 'source-invalid',
      message: expect.stringMatching(/CSV or Parquet/),
    });
    await using damaged = await report('CSV', gzipSync(CSV), {
      files: [{ key: 'data/1', size: 1, MD5checksum: 'no' }],
    });
    await expect(damaged.entries()).rejects.toThrow(/MD5/);
    await using keyless = await report('CSV', gzipSync(CSV), { fileSchema: 'Bucket, Size' });
    await expect(keyless.entries()).rejects.toThrow(/expected Key/);
    await orc.store.put('manifest.json', Buffer.from('{}'));
    await expect(orc.entries()).rejects.toThrow(/not the manifest of an S3 Inventory/);
  });
});
