import { AuditParquetWriter } from '#adapters/parquet-audit.ts';
import { type AuditColumn, type AuditRecord, auditColumns, type ExtraColumns } from '#core/audit-record.ts';
import { csvHeader, csvRow, jsonlRow } from '#core/audit-text.ts';
import type { TableFile } from '#core/completion.ts';
import type { ObjectStore, ObjectWriter } from '#core/ports/object-store.ts';

/** Text formats of the audit table, beside Parquet. */
export const TEXT_FORMATS = ['csv', 'jsonl'] as const;
export type TextFormat = (typeof TEXT_FORMATS)[number];

/** Where the results of a job go. */
export interface ResultLayout {
  /** The key of the `n`-th file of the table, from 0. */
  table(n: number): string;
  /** A file of the table is ended once it has this many bytes. */
  readonly tableFileBytes: number;
  /** Where somebody finds the table: its only file, or the prefix of all. */
  readonly tablePlace: string;
  /** The key of any other file: `summary.json`, `audit.csv`. */
  file(name: string): string;
}

/** Everything in one folder, the table in one file. */
export const FOLDER_LAYOUT: ResultLayout = {
  table: () => 'audit.parquet',
  tableFileBytes: Number.POSITIVE_INFINITY,
  tablePlace: 'audit.parquet',
  file: (name) => name,
};

/** Takes records one by one; what it makes of them appears whole when it is committed. */
interface AuditOutput {
  write(record: AuditRecord): Promise<void>;
  finish(): Promise<void>;
  commit(): Promise<void>;
  /** Leaves nothing behind. */
  abort(): Promise<void>;
}

/** Text is collected up to this size before it is written. */
const TEXT_CHUNK_CHARS = 1 << 20;

/**
 * Writes the table in Parquet, and in each of the text formats, while `produce` hands in the records. The files appear
 * together once it has come to its end; if it throws, none does.
 */
export async function writeAudit(
  formats: readonly TextFormat[],
  layout: ResultLayout,
  results: ObjectStore,
  scores: readonly string[],
  produce: (write: (record: AuditRecord) => Promise<void>) => Promise<void>,
  extra: ExtraColumns = {},
): Promise<TableFile[]> {
  const table = new TableOutput(layout, results, scores, extra);
  const outputs: AuditOutput[] = [table];
  try {
    for (const format of formats) {
      outputs.push(await openTextOutput(format, layout, results, auditColumns(scores, extra)));
    }
    await produce(async (record) => {
      for (const output of outputs) await output.write(record);
    });
    for (const output of outputs) await output.finish();
  } catch (error) {
    await Promise.all(outputs.map((output) => output.abort()));
    throw error;
  }
  for (const output of outputs) await output.commit();
  return table.files;
}

/** The Parquet table in files of a bounded size. */
class TableOutput implements AuditOutput {
  readonly files: TableFile[] = [];
  readonly #layout: ResultLayout;
  readonly #results: ObjectStore;
  readonly #scores: readonly string[];
  readonly #extra: ExtraColumns;
  readonly #finished: AuditParquetWriter[] = [];
  #current: AuditParquetWriter | undefined;

  constructor(layout: ResultLayout, results: ObjectStore, scores: readonly string[], extra: ExtraColumns) {
    this.#layout = layout;
    this.#results = results;
    this.#scores = scores;
    this.#extra = extra;
  }

  async write(record: AuditRecord): Promise<void> {
    const writer = this.#current ?? (await this.#open());
    await writer.write(record);
    if (writer.bytes >= this.#layout.tableFileBytes) await this.#endFile();
  }

  async finish(): Promise<void> {
    // A job without images has a table all the same.
    if (this.#current === undefined && this.files.length === 0) await this.#open();
    await this.#endFile();
  }

  async commit(): Promise<void> {
    for (const writer of this.#finished) await writer.commit();
  }

  async abort(): Promise<void> {
    await Promise.all([...this.#finished, this.#current].map((writer) => writer?.abort()));
  }

  async #open(): Promise<AuditParquetWriter> {
    const output = await this.#results.createWriter(this.#layout.table(this.files.length));
    this.#current = new AuditParquetWriter(output, this.#scores, this.#extra);
    return this.#current;
  }

  async #endFile(): Promise<void> {
    const writer = this.#current;
    if (writer === undefined) return;
    const facts = await writer.finish();
    this.#current = undefined;
    this.#finished.push(writer);
    this.files.push({ key: this.#layout.table(this.files.length), ...facts });
  }
}

async function openTextOutput(
  format: TextFormat,
  layout: ResultLayout,
  results: ObjectStore,
  columns: readonly AuditColumn[],
): Promise<AuditOutput> {
  const output = await results.createWriter(layout.file(`audit.${format}`));
  return format === 'csv'
    ? new TextOutput(output, csvHeader(columns), (record) => csvRow(columns, record))
    : new TextOutput(output, '', (record) => jsonlRow(columns, record));
}

class TextOutput implements AuditOutput {
  readonly #output: ObjectWriter;
  readonly #line: (record: AuditRecord) => string;
  #text: string;

  constructor(output: ObjectWriter, header: string, line: (record: AuditRecord) => string) {
    this.#output = output;
    this.#text = header;
    this.#line = line;
  }

  async write(record: AuditRecord): Promise<void> {
    this.#text += this.#line(record);
    if (this.#text.length >= TEXT_CHUNK_CHARS) await this.finish();
  }

  async finish(): Promise<void> {
    const text = this.#text;
    this.#text = '';
    await this.#output.write(Buffer.from(text));
  }

  commit(): Promise<void> {
    return this.#output.commit();
  }

  abort(): Promise<void> {
    return this.#output.abort();
  }
}
