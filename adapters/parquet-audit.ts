import { createHash } from 'node:crypto';
import { type AuditRecord, auditColumns, type ExtraColumns, recordFromRow } from '#core/audit-record.ts';
import type { ObjectWriter } from '#core/ports/object-store.ts';
import { ParquetTable, tableRows } from './parquet-table.ts';

/** Rows in one row group of the compacted table: large enough to compress, small enough to hold in memory. */
const ROWS_PER_GROUP = 20_000;

/** The records of an audit table, in the order they were written. */
export async function auditTable(
  file: Buffer,
  scores: readonly string[],
  shadowScores: readonly string[] = [],
): Promise<AuditRecord[]> {
  const rows = await tableRows(file);
  return rows.map((row) => recordFromRow(row, scores, shadowScores));
}

/**
 * Writes the compacted audit table row group by row group, so memory does not grow with the number of rows.
 * Nothing is visible before `commit`.
 */
export class AuditParquetWriter {
  readonly #output: ObjectWriter;
  readonly #table: ParquetTable;
  readonly #digest = createHash('sha256');
  #pending: AuditRecord[] = [];
  #rows = 0;
  #bytes = 0;

  constructor(output: ObjectWriter, scores: readonly string[], extra: ExtraColumns = {}) {
    this.#output = output;
    this.#table = new ParquetTable(auditColumns(scores, extra));
  }

  /** Bytes written so far: what is not a whole row group yet is not among them. */
  get bytes(): number {
    return this.#bytes;
  }

  async write(record: AuditRecord): Promise<void> {
    this.#pending.push(record);
    this.#rows++;
    if (this.#pending.length >= ROWS_PER_GROUP) await this.#flush();
  }

  /** Writes the file to its end. It becomes visible by `commit`. */
  async finish(): Promise<{ rows: number; bytes: number; sha256: string }> {
    if (this.#pending.length > 0) await this.#flush();
    await this.#append(this.#table.finish());
    return { rows: this.#rows, bytes: this.#bytes, sha256: this.#digest.digest('hex') };
  }

  commit(): Promise<void> {
    return this.#output.commit();
  }

  abort(): Promise<void> {
    return this.#output.abort();
  }

  async #flush(): Promise<void> {
    this.#table.append(this.#pending);
    this.#pending = [];
    await this.#append(this.#table.drain());
  }

  async #append(bytes: Uint8Array): Promise<void> {
    this.#digest.update(bytes);
    this.#bytes += bytes.length;
    await this.#output.write(bytes);
  }
}
