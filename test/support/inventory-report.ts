import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { ObjectStore } from '#core/ports/object-store.ts';

export const MANIFEST_KEY = 'inventory/photos/daily/2026-03-01T01-00Z/manifest.json';

/** The columns of a report over all versions, in the order that S3 has them. */
export const CSV_SCHEMA = 'Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag';

/** A data file as S3 Inventory writes CSV: gzipped, every value quoted, no header. */
export function csvFile(rows: readonly (readonly string[])[]): Buffer {
  const quoted = (value: string): string => `"${value.replaceAll('"', '""')}"`;
  return gzipSync(rows.map((row) => `${row.map(quoted).join(',')}\n`).join(''));
}

/** Writes a report over the bucket "photos" into the store, and returns its manifest. */
export async function writeReport(
  store: ObjectStore,
  report: { fileFormat: string; fileSchema: string; files: readonly Uint8Array[] },
): Promise<{ files: { key: string; size: number; MD5checksum: string }[] }> {
  const files = report.files.map((file, index) => ({
    key: `inventory/photos/daily/data/${index}`,
    size: file.byteLength,
    MD5checksum: createHash('md5').update(file).digest('hex'),
  }));
  for (const [index, { key }] of files.entries()) await store.put(key, report.files[index] as Uint8Array);
  const manifest = {
    sourceBucket: 'photos',
    destinationBucket: 'arn:aws:s3:::reports',
    version: '2016-11-30',
    creationTimestamp: '1772326800000',
    fileFormat: report.fileFormat,
    fileSchema: report.fileSchema,
    files,
  };
  await store.put(MANIFEST_KEY, Buffer.from(JSON.stringify(manifest)));
  return manifest;
}
