import { createHash } from 'node:crypto';
import { type KeyValue, parquetMetadata, parquetReadObjects, type SchemaElement } from 'hyparquet';
import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import {
  type AuditColumn,
  type AuditRecord,
  auditColumns,
  type ExtraColumns,
  recordFromRow,
} from '#core/audit-record.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import type { ObjectWriter } from '#core/ports/object-store.ts';
import { UsageRecord } from '#core/usage.ts';

/** Rows in one row group of the compacted table: large enough to compress, small enough to hold in memory. */
const ROWS_PER_GROUP = 20_000;

const CREATED_BY = 'sluice';
/** Under this name a part's metadata holds what it took to make it. */
const USAGE_KEY = 'sluice.usage';

/**
 * One part: the audit records of one pack as a Parquet file. Scores that none of them has get no column: of a thousand
 * classes, of which each image keeps the best few, most columns would be empty, and writing them would keep the GPU waiting.
 */
export function encodePart(
  records: readonly AuditRecord[],
  scores: readonly string[],
  usage?: readonly UsageRecord[],
  shadowScores: readonly string[] = [],
): Uint8Array {
  const present = new Set(records.flatMap((record) => Object.keys(record.scores)));
  const shadowed = new Set(records.flatMap((record) => Object.keys(record.shadow?.scores ?? {})));
  const columns = auditColumns(
    scores.filter((score) => present.has(score)),
    {
      following: records.some((record) => record.parent !== undefined),
      ...(records.some((record) => record.shadow !== undefined) && {
        shadowScores: shadowScores.filter((score) => shadowed.has(score)),
      }),
    },
  );
  const metadata = usage && [{ key: USAGE_KEY, value: JSON.stringify(usage) }];
  const table = new ParquetTable(columns, metadata);
  table.append(records);
  return table.finish();
}

/** The records of a part, in the order they were written. */
export async function decodePart(
  file: Buffer,
  scores: readonly string[],
  shadowScores: readonly string[] = [],
): Promise<AuditRecord[]> {
  const bytes = file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength) as ArrayBuffer;
  const rows = await parquetReadObjects({ file: bytes });
  return rows.map((row) => recordFromRow(row, scores, shadowScores));
}

/**
 * What it took to make a part; `undefined` where the part does not say, as those of earlier versions.
 *
 * @throws SluiceError `accounting-broken` for what is no part.
 */
export function usageOfPart(file: Uint8Array): UsageRecord[] | undefined {
  const bytes = file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength) as ArrayBuffer;
  try {
    const { key_value_metadata: entries = [] } = parquetMetadata(bytes);
    const value = entries.find(({ key }) => key === USAGE_KEY)?.value;
    return value === undefined ? undefined : UsageRecord.array().parse(JSON.parse(value));
  } catch (cause) {
    throw new SluiceError('accounting-broken', `no Parquet file with usage records: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/** Some columns of a table, or all, row by row. */
export async function tableRows(
  file: Buffer,
  columns?: readonly string[],
): Promise<Readonly<Record<string, unknown>>[]> {
  const bytes = file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength) as ArrayBuffer;
  return parquetReadObjects({ file: bytes, ...(columns && { columns: [...columns] }) });
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

class ParquetTable {
  readonly #columns: readonly AuditColumn[];
  readonly #bytes = new ByteWriter();
  readonly #writer: ParquetWriter;

  constructor(columns: readonly AuditColumn[], kvMetadata?: KeyValue[]) {
    this.#columns = columns;
    const schema = [
      { name: 'audit', num_children: columns.length },
      ...columns.flatMap(schemaOf),
    ] as SchemaElement[];
    this.#writer = new ParquetWriter({
      writer: this.#bytes,
      schema,
      createdBy: CREATED_BY,
      ...(kvMetadata && { kvMetadata }),
    });
  }

  append(records: readonly AuditRecord[]): void {
    const columnData = this.#columns.map((column) => ({
      name: column.name,
      data: records.map((record) => cellOf(column, record)),
    }));
    this.#writer.write({ columnData, rowGroupSize: Math.max(1, records.length) });
  }

  /** The bytes written since the last call. */
  drain(): Uint8Array {
    const bytes = this.#bytes.getBytes().slice();
    this.#bytes.index = 0;
    return bytes;
  }

  finish(): Uint8Array {
    this.#writer.finish();
    return this.drain();
  }
}

function cellOf(column: AuditColumn, record: AuditRecord): unknown {
  const cell = column.read(record);
  return column.type === 'int64' && typeof cell === 'number' ? BigInt(cell) : cell;
}

function schemaOf(column: AuditColumn): SchemaElement[] {
  const { name } = column;
  const repetition_type = column.nullable ? 'OPTIONAL' : 'REQUIRED';
  switch (column.type) {
    case 'string':
      return [{ name, type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type }];
    case 'string-list':
      return [
        { name, converted_type: 'LIST', repetition_type, num_children: 1 },
        { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
        { name: 'element', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
      ];
    case 'int64':
      return [{ name, type: 'INT64', repetition_type }];
    case 'int32':
      return [{ name, type: 'INT32', repetition_type }];
    case 'float':
      return [{ name, type: 'FLOAT', repetition_type }];
    case 'double':
      return [{ name, type: 'DOUBLE', repetition_type }];
  }
}
