import { gzipSync } from 'node:zlib';
import type { SchemaElement } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import {
  type InventoryEntry,
  inventoryFileEntries,
  inventoryImages,
  readInventoryManifest,
} from '#adapters/s3-inventory.ts';
import { CSV_SCHEMA, csvFile, MANIFEST_KEY, writeReport } from '#test/support/inventory-report.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let store: FolderStore;
beforeEach(async () => {
  folder = await temporaryFolder();
  store = new FolderStore(folder.path);
});
afterEach(() => folder[Symbol.asyncDispose]());

async function all(entries: AsyncIterable<InventoryEntry>): Promise<InventoryEntry[]> {
  const found: InventoryEntry[] = [];
  for await (const entry of entries) found.push(entry);
  return found;
}

const keysOf = async (entries: AsyncIterable<InventoryEntry>): Promise<string[]> =>
  (await all(entries)).map(({ ref }) => ref.key);

const writeCsv = (...files: Uint8Array[]): ReturnType<typeof writeReport> =>
  writeReport(store, { fileFormat: 'CSV', fileSchema: CSV_SCHEMA, files });

/** One row of a CSV report over all versions. */
function row(
  key: string,
  fields: { latest?: string; deleted?: string; size?: string; modified?: string } = {},
) {
  const { latest = 'true', deleted = 'false', size = '7', modified = '2026-02-01T10:00:00.000Z' } = fields;
  return ['photos', key, 'v1', latest, deleted, size, modified, 'abc123'];
}

describe('an inventory in CSV', () => {
  it('names every object with its decoded key, size, etag and time', async () => {
    await writeCsv(
      csvFile([
        row('2026/red+flower%2B1.jpg'),
        row('%C3%BCn%C3%AF%2F%22q%22%2Cx%25.jpg', { size: '5000000000' }),
      ]),
    );
    const lastModified = new Date('2026-02-01T10:00:00.000Z');
    expect(await all(inventoryImages(store, MANIFEST_KEY))).toEqual([
      { ref: { key: '2026/red flower+1.jpg', etag: 'abc123', bytes: 7 }, lastModified },
      { ref: { key: 'ünï/"q",x%.jpg', etag: 'abc123', bytes: 5_000_000_000 }, lastModified },
    ]);
  });

  it('leaves out old versions, delete markers and folder markers', async () => {
    await writeCsv(
      csvFile([
        row('old.jpg', { latest: 'FALSE' }),
        row('deleted.jpg', { deleted: 'TRUE', size: '' }),
        row('folder/', { size: '0' }),
        row('odd/'),
        row('empty.jpg', { size: '0' }),
        row('kept.jpg', { latest: 'TRUE', deleted: 'FALSE' }),
      ]),
    );
    expect(await keysOf(inventoryImages(store, MANIFEST_KEY))).toEqual(['odd/', 'empty.jpg', 'kept.jpg']);
  });

  it('may have no columns but bucket and key', async () => {
    await writeReport(store, {
      fileFormat: 'CSV',
      fileSchema: 'Bucket, Key',
      files: [
        csvFile([
          ['photos', 'a.jpg'],
          ['photos', 'folder%2F'],
        ]),
      ],
    });
    expect(await all(inventoryImages(store, MANIFEST_KEY))).toEqual([
      { ref: { key: 'a.jpg', etag: '', bytes: 0 }, isSizeUnknown: true },
    ]);
  });

  it('may have values without quotation marks, empty lines, CRLF, and no line break at the end', async () => {
    const text = 'photos,a.jpg,,true,false,1,,"x"\r\n\r\n"photos",b.jpg,"",,,"2","",';
    await writeCsv(gzipSync(text));
    expect(await all(inventoryImages(store, MANIFEST_KEY))).toEqual([
      { ref: { key: 'a.jpg', etag: 'x', bytes: 1 } },
      { ref: { key: 'b.jpg', etag: '', bytes: 2 } },
    ]);
  });

  it('is read whole across the pieces it is unpacked in', async () => {
    const keys = Array.from({ length: 20_000 }, (_, index) => `2026/${'x'.repeat(index % 40)}/${index}.jpg`);
    await writeCsv(csvFile(keys.map((key) => row(encodeURIComponent(key)))));
    expect(await keysOf(inventoryImages(store, MANIFEST_KEY))).toEqual(keys);
  });

  it('is read file by file, in the order of the manifest', async () => {
    await writeCsv(csvFile([row('b.jpg')]), csvFile([]), csvFile([row('a.jpg')]));
    expect(await keysOf(inventoryImages(store, MANIFEST_KEY))).toEqual(['b.jpg', 'a.jpg']);
  });

  it('gives up the rest when its reader stops early', async () => {
    await writeCsv(csvFile(Array.from({ length: 5000 }, (_, index) => row(`${index}.jpg`))));
    for await (const { ref } of inventoryImages(store, MANIFEST_KEY)) {
      expect(ref.key).toBe('0.jpg');
      break;
    }
  });
});

describe('an inventory in Parquet', () => {
  const schema: SchemaElement[] = [
    { name: 's3.inventory', num_children: 7 },
    { name: 'bucket', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
    { name: 'key', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
    { name: 'is_latest', type: 'BOOLEAN', repetition_type: 'OPTIONAL' },
    { name: 'is_delete_marker', type: 'BOOLEAN', repetition_type: 'OPTIONAL' },
    { name: 'size', type: 'INT64', repetition_type: 'OPTIONAL' },
    {
      name: 'last_modified_date',
      type: 'INT64',
      converted_type: 'TIMESTAMP_MILLIS',
      repetition_type: 'OPTIONAL',
    },
    { name: 'e_tag', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
  ];
  const modified = new Date('2026-02-01T10:00:00.000Z');
  const columns = {
    bucket: ['photos', 'photos', 'photos', 'photos', 'photos'],
    key: ['2026/red flower+1%20ü.jpg', 'old.jpg', 'deleted.jpg', 'folder/', 'b.jpg'],
    is_latest: [true, false, true, true, null],
    is_delete_marker: [false, false, true, false, null],
    size: [5_000_000_000n, 1n, null, 0n, 2n],
    last_modified_date: [modified, modified, modified, modified, null],
    e_tag: ['abc123', 'def', null, 'd41d8', 'ghi'],
  };
  const columnData = Object.entries(columns).map(([name, data]) => ({ name, data }));

  it('names the current objects, with their keys as they stand', async () => {
    const file = new Uint8Array(parquetWriteBuffer({ schema, columnData, rowGroupSize: 2 }));
    await writeReport(store, {
      fileFormat: 'Parquet',
      fileSchema: 'message s3.inventory { }',
      files: [file],
    });
    expect(await all(inventoryImages(store, MANIFEST_KEY))).toEqual([
      {
        ref: { key: '2026/red flower+1%20ü.jpg', etag: 'abc123', bytes: 5_000_000_000 },
        lastModified: modified,
      },
      { ref: { key: 'b.jpg', etag: 'ghi', bytes: 2 } },
    ]);
  });

  it('may have no columns but bucket and key', async () => {
    const two = columnData.slice(0, 2).map((column) => ({ ...column, type: 'STRING' as const }));
    const file = new Uint8Array(parquetWriteBuffer({ columnData: two }));
    await writeReport(store, { fileFormat: 'Parquet', fileSchema: '', files: [file] });
    expect(await keysOf(inventoryImages(store, MANIFEST_KEY))).toEqual([
      '2026/red flower+1%20ü.jpg',
      'old.jpg',
      'deleted.jpg',
      'b.jpg',
    ]);
  });

  it('is refused without a column of keys, or when it is no Parquet', async () => {
    const data = [{ name: 'bucket', data: ['photos'], type: 'STRING' as const }];
    for (const file of [new Uint8Array(parquetWriteBuffer({ columnData: data })), Buffer.from('PAR0')]) {
      await writeReport(store, { fileFormat: 'Parquet', fileSchema: '', files: [file] });
      await expect(all(inventoryImages(store, MANIFEST_KEY))).rejects.toMatchObject({
        code: 'source-invalid',
      });
    }
  });
});

describe('the manifest of an inventory', () => {
  it('lets its data files be read one at a time', async () => {
    await writeCsv(csvFile([row('a.jpg')]), csvFile([row('b.jpg')]));
    const manifest = await readInventoryManifest(store, MANIFEST_KEY);
    expect(manifest).toMatchObject({ sourceBucket: 'photos', creationTimestamp: '1772326800000' });
    expect(await keysOf(inventoryFileEntries(store, manifest, 1))).toEqual(['b.jpg']);
    await expect(all(inventoryFileEntries(store, manifest, 2))).rejects.toMatchObject({
      code: 'source-invalid',
      message: expect.stringContaining('2 data files'),
    });
  });

  it('is refused for ORC, by the names of what is supported', async () => {
    await writeReport(store, { fileFormat: 'ORC', fileSchema: 'struct<bucket:string>', files: [] });
    await expect(readInventoryManifest(store, MANIFEST_KEY)).rejects.toMatchObject({
      code: 'source-invalid',
      message: expect.stringMatching(/supported are CSV and Parquet, got "ORC"/),
    });
  });

  it.each([
    ['no JSON', 'photos,a.jpg', 'no JSON'],
    ['something else', '{"files":"none"}', 'sourceBucket'],
  ])('is refused when it is %s', async (_, text, came) => {
    await store.put(MANIFEST_KEY, Buffer.from(text));
    await expect(readInventoryManifest(store, MANIFEST_KEY)).rejects.toMatchObject({
      code: 'source-invalid',
      message: expect.stringContaining(came),
    });
  });

  it('is missing as any object is', async () => {
    await expect(readInventoryManifest(store, MANIFEST_KEY)).rejects.toMatchObject({
      code: 'object-missing',
    });
  });
});

describe('a data file of an inventory', () => {
  const refusal = async (): Promise<unknown> =>
    all(inventoryImages(store, MANIFEST_KEY)).catch((error) => error);

  it('is refused when the bucket does not have it', async () => {
    const { files } = await writeCsv(csvFile([row('a.jpg')]));
    await store.delete([files[0]?.key as string]);
    expect(await refusal()).toMatchObject({
      code: 'source-invalid',
      message: expect.stringContaining('has none'),
    });
  });

  it('is refused when its size or its MD5 is not the one in the manifest', async () => {
    const file = csvFile([row('a.jpg')]);
    const { files } = await writeCsv(file);
    const key = files[0]?.key as string;
    await store.put(key, file.subarray(0, -1));
    expect(await refusal()).toMatchObject({
      code: 'source-invalid',
      message: expect.stringContaining('bytes'),
    });
    const other = Buffer.from(file);
    other[other.length - 1] = (other.at(-1) as number) ^ 1;
    await store.put(key, other);
    expect(await refusal()).toMatchObject({
      code: 'source-invalid',
      message: expect.stringContaining('MD5'),
    });
  });

  it.each<[string, Uint8Array, string]>([
    ['cut short', csvFile([row('a.jpg')]).subarray(0, -9), 'unexpected end of file'],
    ['not gzipped', Buffer.from('"photos","a.jpg"'), 'incorrect header check'],
    ['of other columns than the manifest says', csvFile([['photos', 'a.jpg']]), 'expected 8 fields, got 2'],
    ['not URL-encoded', csvFile([row('100%.jpg')]), 'the key "100%.jpg" is not URL-encoded'],
    ['without a key in some row', csvFile([row('')]), 'no key'],
    ['of a size that is no number', csvFile([row('a.jpg', { size: 'big' })]), 'the size "big"'],
    ['of a time that is none', csvFile([row('a.jpg', { modified: 'today' })]), 'today'],
    ['with a quotation mark left open', gzipSync('photos,a\n"photos,a'), 'line 2'],
    ['with text after a quoted value', gzipSync('"photos"x,a'), 'line 1'],
  ])('is refused when it is %s', async (_, file, problem) => {
    const written = problem.startsWith('line') ? 'Bucket, Key' : CSV_SCHEMA;
    await writeReport(store, { fileFormat: 'CSV', fileSchema: written, files: [file] });
    expect(await refusal()).toMatchObject({
      code: 'source-invalid',
      message: expect.stringContaining(problem),
    });
  });

  it('is refused when the schema names no column of keys', async () => {
    await writeReport(store, {
      fileFormat: 'CSV',
      fileSchema: 'Bucket, Size',
      files: [csvFile([['photos', '1']])],
    });
    expect(await refusal()).toMatchObject({
      code: 'source-invalid',
      message: expect.stringContaining('"Key"'),
    });
  });

  it('is not read any further once the reader is stopped', async () => {
    await writeCsv(csvFile(Array.from({ length: 20_000 }, (_, index) => row(`${index}.jpg`))));
    const stop = new AbortController();
    const reading = async (): Promise<void> => {
      for await (const _ of inventoryImages(store, MANIFEST_KEY, stop.signal))
        stop.abort(new Error('enough'));
    };
    await expect(reading()).rejects.toThrow('enough');
  });
});
