import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tableRows } from '#adapters/parquet-table.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { query } from './query.ts';
import { lastLine, sluice } from './sluice-command.ts';

export type Row = Readonly<Record<string, unknown>>;

/** What depends on where and when a row was made. */
const PLACE = ['job', 'pack', 'preprocess_ms', 'etag'];

/** The rows in their order, with what they say wherever they were made. */
export function withoutPlace(rows: readonly Row[]): Row[] {
  return rows.map((row) =>
    Object.fromEntries(
      Object.entries(row)
        .filter(([name]) => !PLACE.includes(name))
        .map(([name, value]) => [name, typeof value === 'bigint' ? String(value) : value]),
    ),
  );
}

/** The rows of a run on one machine, without their place. The folder gets the results. */
export async function rowsOnOneMachine(folder: string, cascade: object, photos: string): Promise<Row[]> {
  const file = join(folder, 'cascade.json');
  await writeFile(file, JSON.stringify(cascade));
  const out = join(folder, 'out');
  const run = sluice('run', photos, '--cascade', file, '--out', out, '--json', '--quiet');
  const { outputs } = lastLine(await run.result);
  return withoutPlace(await query(`SELECT * FROM '${outputs.audit}'`));
}

/** The rows of a complete job's tables, in their order. */
export async function rowsOfTables(tables: readonly { key: string }[], works: ObjectStore): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { key } of tables) rows.push(...(await tableRows((await works.get(key)).body)));
  return rows;
}
