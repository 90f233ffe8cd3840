import { createHash } from 'node:crypto';
import { z } from 'zod';
import { messageOf, SluiceError } from '#core/error.ts';
import type { ImageRef } from '#core/image-ref.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { decodeS3Key, isFolderMarker } from '#core/s3-key.ts';
import { gzippedCsvRows } from './inventory-csv.ts';
import { parquetRows } from './inventory-parquet.ts';

/** A data file takes about 200 bytes in the manifest: enough for hundreds of thousands of them. */
const MAX_MANIFEST_BYTES = 64 * 1024 * 1024;
/** Data files are tens of megabytes; one is held in memory whole. */
const MAX_DATA_FILE_BYTES = 1024 * 1024 * 1024;

/** A manifest may have as many problems as data files; a message has room for these. */
const MAX_SHOWN_PROBLEMS = 5;

/** One data file that a manifest names. */
const InventoryFile = z.object({
  /** From the root of the destination bucket. */
  key: z.string().min(1),
  size: z.int().min(0).optional(),
  /** MD5 of the file as it lies in the bucket, in hexadecimal. */
  MD5checksum: z.string().optional(),
});

/**
 * The `manifest.json` of an S3 Inventory report.
 *
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
 */
export const InventoryManifest = z.object({
  /** The bucket that was listed: the images lie there. */
  sourceBucket: z.string().min(1),
  /** ARN of the bucket that the report lies in. */
  destinationBucket: z.string().min(1),
  version: z.string(),
  /** When S3 began to list, in milliseconds since 1970, as text. */
  creationTimestamp: z.string().optional(),
  fileFormat: z.enum(['CSV', 'Parquet'], {
    error: ({ input }) =>
      `supported are CSV and Parquet, got ${JSON.stringify(input)}: choose one of them in the inventory configuration`,
  }),
  fileSchema: z.string(),
  files: z.array(InventoryFile),
});
export type InventoryManifest = z.infer<typeof InventoryManifest>;

/** One object of an inventory: the current version, neither a delete marker nor a folder marker. */
export interface InventoryEntry {
  readonly ref: ImageRef;
  /** The report does not tell its size: its `bytes` are 0. */
  readonly isSizeUnknown?: boolean;
  /** Absent where the report has no such column. */
  readonly lastModified?: Date;
}

/** What is read of a row, as either format has it. */
interface InventoryRow {
  readonly key: unknown;
  readonly size: unknown;
  readonly etag: unknown;
  readonly isLatest: unknown;
  readonly isDeleteMarker: unknown;
  readonly lastModified: unknown;
}

/**
 * Every current object that an S3 Inventory report names, file by file, in the report's own order (which is none).
 * Keys are those of the listed bucket, which need not be `store`. The list is eventually consistent: an object may
 * be gone, or changed, by the time it is read.
 *
 * @param store the bucket that the report lies in, from its root: the manifest names its data files by full keys.
 * @param manifestKey the key of the report's `manifest.json`.
 * @throws SluiceError `source-invalid` for a report that is not whole or not understood, else the store's errors.
 *
 * @example
 * for await (const { ref } of inventoryImages(store, 'inv/photos/daily/2026-03-01T01-00Z/manifest.json')) add(ref);
 */
export async function* inventoryImages(
  store: ObjectStore,
  manifestKey: string,
  signal?: AbortSignal,
): AsyncGenerator<InventoryEntry> {
  const manifest = await readInventoryManifest(store, manifestKey, signal);
  for (const fileIndex of manifest.files.keys()) {
    yield* inventoryFileEntries(store, manifest, fileIndex, signal);
  }
}

/** The manifest of a report, whose data files may then be read one at a time, by whoever has time. */
export async function readInventoryManifest(
  store: ObjectStore,
  manifestKey: string,
  signal?: AbortSignal,
): Promise<InventoryManifest> {
  const { body } = await store.get(manifestKey, { maxBytes: MAX_MANIFEST_BYTES, ...(signal && { signal }) });
  let manifest: ReturnType<typeof InventoryManifest.safeParse>;
  try {
    manifest = InventoryManifest.safeParse(JSON.parse(body.toString()));
  } catch (cause) {
    throw invalid(manifestKey, `expected the manifest.json of an S3 Inventory report, got no JSON`, cause);
  }
  if (manifest.success) return manifest.data;
  const problems = manifest.error.issues
    .slice(0, MAX_SHOWN_PROBLEMS)
    .map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw invalid(
    manifestKey,
    `expected the manifest.json of an S3 Inventory report: ${problems.join('; ')}`,
    manifest.error,
  );
}

/**
 * The current objects that data file `fileIndex` of a report names. The file is checked against the manifest's size
 * and MD5 before anything of it is yielded; it is unpacked a piece at a time.
 *
 * @throws SluiceError `source-invalid` for a file that is missing, damaged or not understood, else the store's errors.
 */
export async function* inventoryFileEntries(
  store: ObjectStore,
  manifest: InventoryManifest,
  fileIndex: number,
  signal?: AbortSignal,
): AsyncGenerator<InventoryEntry> {
  const file = manifest.files[fileIndex];
  if (file === undefined) {
    const count = manifest.files.length;
    throw new SluiceError('source-invalid', `the report has ${count} data files, there is none ${fileIndex}`);
  }
  const body = await readDataFile(store, file, signal);
  const rows =
    manifest.fileFormat === 'CSV'
      ? csvRows(body, manifest.fileSchema, signal)
      : parquetFileRows(body, signal);
  try {
    for await (const row of rows) {
      const entry = entryOf(row);
      if (entry !== undefined) yield entry;
    }
  } catch (cause) {
    signal?.throwIfAborted();
    throw invalid(
      file.key,
      `expected a ${manifest.fileFormat} file of S3 Inventory: ${messageOf(cause)}`,
      cause,
    );
  }
}

async function readDataFile(
  store: ObjectStore,
  file: z.infer<typeof InventoryFile>,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  let body: Buffer;
  try {
    ({ body } = await store.get(file.key, { maxBytes: MAX_DATA_FILE_BYTES, ...(signal && { signal }) }));
  } catch (cause) {
    if (!(cause instanceof SluiceError) || cause.code !== 'object-missing') throw cause;
    throw invalid(
      file.key,
      'the manifest names this data file, and the bucket has none: ' +
        'use a report that has not expired, and a destination prefix that does not end in "/"',
      cause,
    );
  }
  if (file.size !== undefined && file.size !== body.byteLength) {
    throw invalid(
      file.key,
      `expected ${file.size} bytes, got ${body.byteLength}: it is not the manifest's file`,
    );
  }
  if (file.MD5checksum !== undefined) {
    const md5 = createHash('md5').update(body).digest('hex');
    if (md5 !== file.MD5checksum.toLowerCase()) {
      throw invalid(file.key, `expected MD5 ${file.MD5checksum}, got ${md5}: it is not the manifest's file`);
    }
  }
  return body;
}

/**
 * In CSV the key is URL-encoded; the file has no header, the manifest names the columns.
 *
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html; that a space is "+" there, as
 * in notifications: https://github.com/cloud-custodian/cloud-custodian/pull/1998
 */
async function* csvRows(
  body: Buffer,
  fileSchema: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<InventoryRow> {
  const columns = fileSchema.split(',').map((name) => name.trim());
  if (!columns.includes('Key')) throw new Error(`the schema has no column "Key": ${fileSchema}`);
  const at = (name: string): number => columns.indexOf(name);
  const [key, size, etag] = [at('Key'), at('Size'), at('ETag')];
  const [isLatest, isDeleteMarker, lastModified] = [
    at('IsLatest'),
    at('IsDeleteMarker'),
    at('LastModifiedDate'),
  ];
  for await (const fields of gzippedCsvRows(body, signal)) {
    if (fields.length !== columns.length) {
      throw new Error(
        `expected ${columns.length} fields, got ${fields.length}: ${fields.join(',').slice(0, 120)}`,
      );
    }
    yield {
      key: decodedKey(fields[key] ?? ''),
      size: fields[size],
      etag: fields[etag],
      isLatest: fields[isLatest],
      isDeleteMarker: fields[isDeleteMarker],
      lastModified: fields[lastModified],
    };
  }
}

/**
 * In Parquet the key stands as it is: "When you're using the CSV file format, the key name is URL-encoded and must be
 * decoded", and only then.
 *
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html
 */
async function* parquetFileRows(body: Buffer, signal: AbortSignal | undefined): AsyncGenerator<InventoryRow> {
  const columns = ['key', 'size', 'e_tag', 'is_latest', 'is_delete_marker', 'last_modified_date'];
  for await (const row of parquetRows(body, columns, signal)) {
    yield {
      key: row['key'],
      size: row['size'],
      etag: row['e_tag'],
      isLatest: row['is_latest'],
      isDeleteMarker: row['is_delete_marker'],
      lastModified: row['last_modified_date'],
    };
  }
}

/** `undefined` for what is no image to audit: an old version, a delete marker, a folder marker. */
function entryOf(row: InventoryRow): InventoryEntry | undefined {
  const { key } = row;
  if (typeof key !== 'string' || key === '') throw new Error('a row has no key');
  if (isFlag(row.isLatest, false) || isFlag(row.isDeleteMarker, true)) return undefined;
  const size = textOf(row.size);
  const bytes = Number(size);
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw new Error(`"${key}" has the size "${row.size}"`);
  if (isFolderMarker(key, bytes)) return undefined;
  const etag = textOf(row.etag).replaceAll('"', '');
  const lastModified = dateOf(row.lastModified, key);
  return {
    ref: { key, etag, bytes },
    ...(size === '' && { isSizeUnknown: true }),
    ...(lastModified && { lastModified }),
  };
}

/** A cell as text: CSV leaves empty what Parquet has as null. */
function textOf(cell: unknown): string {
  return cell === undefined || cell === null ? '' : String(cell);
}

/** CSV writes flags as text, in either case; Parquet has booleans. */
function isFlag(cell: unknown, flag: boolean): boolean {
  return textOf(cell).toLowerCase() === String(flag);
}

function decodedKey(encoded: string): string {
  try {
    return decodeS3Key(encoded);
  } catch (cause) {
    throw new Error(`the key "${encoded}" is not URL-encoded`, { cause });
  }
}

function dateOf(cell: unknown, key: string): Date | undefined {
  if (cell === undefined || cell === null || cell === '') return undefined;
  const date = cell instanceof Date ? cell : new Date(typeof cell === 'bigint' ? Number(cell) : String(cell));
  if (Number.isNaN(date.getTime()))
    throw new Error(`"${key}" was last modified at "${cell}", which is no time`);
  return date;
}

function invalid(key: string, problem: string, cause?: unknown): SluiceError {
  return new SluiceError('source-invalid', `inventory "${key}": ${problem}`, { cause });
}
