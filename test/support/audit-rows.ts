import { tableRows } from '#adapters/parquet-table.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';

type Row = Readonly<Record<string, unknown>>;

/** All rows of a table's files, by key, without some of their columns. */
export async function auditRows(
  store: ObjectStore,
  files: readonly string[],
  without: readonly string[],
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const file of files) rows.push(...(await tableRows((await store.get(file)).body)));
  return rows
    .map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => !without.includes(name))))
    .sort((a, b) => (String(a['key']) < String(b['key']) ? -1 : 1));
}
