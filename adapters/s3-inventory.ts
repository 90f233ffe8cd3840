import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { z } from 'zod';
import { messageOf, SluiceError } from '#core/error.ts';
import type { ImageRef } from '#core/image-ref.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { tableRows } from './parquet-audit.ts';

/** Source: "Inventory list" and "Inventory manifest" in the S3 user guide. */
const InventoryManifest = z.object({
  sourceBucket: z.string(),
  fileFormat: z.string(),
  /** For CSV the names of the columns, separated by commas. */
  fileSchema: z.string(),
  files: z.array(z.object({ key: z.string(), size: z.number(), MD5checksum: z.string().optional() })),
});
export type InventoryManifest = z.infer<typeof InventoryManifest>;

export interface InventoryEntry {
  readonly ref: ImageRef;
  readonly lastModified?: Date;
}

const MAX_FILE_BYTES = 1024 * 1024 * 1024;
const MAX_UNZIPPED_BYTES = 4 * MAX_FILE_BYTES;
const unzip = promisify(gunzip);

/** The manifest of an inventory report. @throws SluiceError `source-invalid` where it is none, or of a format that is not read. */
export async function readInventoryManifest(
  reports: ObjectStore,
  manifestKey: string,
): Promise<InventoryManifest> {
  const { body } = await reports.get(manifestKey);
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw invalid(
      `"${manifestKey}" is not JSON: expected the manifest.json of an S3 Inventory report`,
      cause,
    );
  }
  const parsed = InventoryManifest.safeParse(value);
  if (!parsed.success) {
    throw invalid(
      `"${manifestKey}" is not the manifest of an S3 Inventory report:\n${z.prettifyError(parsed.error)}`,
    );
  }
  const { fileFormat } = parsed.data;
  if (fileFormat !== 'CSV' && fileFormat !== 'Parquet') {
    throw invalid(
      `the inventory is in ${fileFormat}: expected CSV or Parquet; change the format of the inventory configuration`,
    );
  }
  return parsed.data;
}

/** The current objects that one data file of a report lists. Delete markers and older versions are left out. */
export async function* inventoryFileEntries(
  reports: ObjectStore,
  manifest: InventoryManifest,
  fileIndex: number,
  signal?: AbortSignal,
): AsyncGenerator<InventoryEntry> {
  const file = manifest.files[fileIndex];
  if (file === undefined) throw invalid(`the inventory has no file ${fileIndex}`);
  const { body } = await reports.get(file.key, { maxBytes: MAX_FILE_BYTES, ...(signal && { signal }) });
  if (file.MD5checksum !== undefined) {
    const md5 = createHash('md5').update(body).digest('hex');
    if (md5 !== file.MD5checksum) {
      throw invalid(
        `"${file.key}" has MD5 ${md5}, the manifest says ${file.MD5checksum}: fetch the report again`,
      );
    }
  }
  const rows =
    manifest.fileFormat === 'CSV'
      ? csvRows(await unzipped(body, file.key), columnsOf(manifest))
      : await parquetRows(body);
  for (const row of rows) {
    if (row.isLatest === 'false' || row.isDeleteMarker === 'true') continue;
    const ref = { key: row.key, etag: row.etag ?? '', bytes: Number(row.size ?? 0) };
    const at = row.lastModified === undefined ? Number.NaN : Date.parse(row.lastModified);
    yield Number.isNaN(at) ? { ref } : { ref, lastModified: new Date(at) };
  }
}

interface Row {
  readonly key: string;
  readonly etag?: string | undefined;
  readonly size?: string | undefined;
  readonly isLatest?: string | undefined;
  readonly isDeleteMarker?: string | undefined;
  readonly lastModified?: string | undefined;
}

function columnsOf({ fileSchema }: InventoryManifest): (cells: readonly string[]) => Row {
  const names = fileSchema.split(',').map((name) => name.trim());
  const at = (name: string): number => names.indexOf(name);
  const [key, etag, size, latest, marker, modified] = [
    at('Key'),
    at('ETag'),
    at('Size'),
    at('IsLatest'),
    at('IsDeleteMarker'),
    at('LastModifiedDate'),
  ] as [number, number, number, number, number, number];
  if (key < 0) throw invalid(`the inventory's columns are ${names.join(', ')}: expected Key among them`);
  return (cells) => ({
    // Keys in CSV reports are URL-encoded.
    key: decodeURIComponent((cells[key] ?? '').replaceAll('+', ' ')),
    etag: cells[etag],
    size: cells[size] === '' ? undefined : cells[size],
    isLatest: cells[latest],
    isDeleteMarker: cells[marker],
    lastModified: cells[modified],
  });
}

function* csvRows(text: string, rowOf: (cells: readonly string[]) => Row): Generator<Row> {
  let from = 0;
  while (from < text.length) {
    const end = text.indexOf('\n', from);
    const line = text.slice(from, end < 0 ? text.length : end).replace(/\r$/, '');
    from = end < 0 ? text.length : end + 1;
    // All cells are quoted, and what could end one (quotes, commas, line ends) is URL-encoded in keys.
    if (line !== '') yield rowOf(line.split(',').map((cell) => cell.replace(/^"|"$/g, '')));
  }
}

async function parquetRows(body: Buffer): Promise<Row[]> {
  const rows = await tableRows(body);
  const textOf = (value: unknown): string | undefined =>
    value === undefined || value === null
      ? undefined
      : value instanceof Date
        ? value.toISOString()
        : String(value);
  return rows.map((row) => ({
    key: String(row['key']),
    etag: textOf(row['e_tag']),
    size: textOf(row['size']),
    isLatest: textOf(row['is_latest']),
    isDeleteMarker: textOf(row['is_delete_marker']),
    lastModified: textOf(row['last_modified_date']),
  }));
}

async function unzipped(body: Buffer, key: string): Promise<string> {
  try {
    return (await unzip(body, { maxOutputLength: MAX_UNZIPPED_BYTES })).toString('utf8');
  } catch (cause) {
    throw invalid(`"${key}" is not a gzip file: ${messageOf(cause)}`, cause);
  }
}

function invalid(message: string, cause?: unknown): SluiceError {
  return new SluiceError('source-invalid', message, { cause });
}
