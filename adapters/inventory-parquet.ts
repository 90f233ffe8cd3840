import { type AsyncBuffer, parquetMetadataAsync, parquetReadObjects, parquetSchema } from 'hyparquet';

/**
 * The rows of a Parquet file, one row group at a time, with those of the wanted columns that it has.
 *
 * @throws Error of the decoder for a damaged file.
 */
export async function* parquetRows(
  file: Buffer,
  wanted: readonly string[],
  signal?: AbortSignal,
): AsyncGenerator<Record<string, unknown>> {
  const buffer: AsyncBuffer = {
    byteLength: file.byteLength,
    slice: (start, end) => new Uint8Array(file.subarray(start, end)).buffer,
  };
  const metadata = await parquetMetadataAsync(buffer);
  const present = new Set(parquetSchema(metadata).children.map(({ element }) => element.name));
  const columns = wanted.filter((name) => present.has(name));
  let rowStart = 0;
  for (const group of metadata.row_groups) {
    signal?.throwIfAborted();
    const rowEnd = rowStart + Number(group.num_rows);
    yield* await parquetReadObjects({ file: buffer, metadata, columns, rowStart, rowEnd });
    rowStart = rowEnd;
  }
}
