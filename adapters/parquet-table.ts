import { type KeyValue, parquetReadObjects, type SchemaElement } from 'hyparquet';
import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import type { AuditColumn, AuditRecord, TableRow } from '#core/audit-record.ts';

const CREATED_BY = 'sluice';

/** Some columns of a table, or all, row by row. */
export async function tableRows(file: Buffer, columns?: readonly string[]): Promise<TableRow[]> {
  return parquetReadObjects({ file: arrayBufferOf(file), ...(columns && { columns: [...columns] }) });
}

/** The bytes of a file in an ArrayBuffer of their own. */
export function arrayBufferOf(file: Uint8Array): ArrayBuffer {
  return file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength) as ArrayBuffer;
}

/** Audit records as Parquet, one row group for each `append`. */
export class ParquetTable {
  readonly #columns: readonly AuditColumn[];
  readonly #bytes = new ByteWriter();
  readonly #writer: ParquetWriter;

  /** @param options `statistics`: least and greatest values of each column, which let readers leave out row groups. */
  constructor(
    columns: readonly AuditColumn[],
    options: { readonly kvMetadata?: KeyValue[]; readonly statistics?: boolean } = {},
  ) {
    this.#columns = columns;
    const schema = [
      { name: 'audit', num_children: columns.length },
      ...columns.flatMap(schemaOf),
    ] as SchemaElement[];
    this.#writer = new ParquetWriter({
      writer: this.#bytes,
      schema,
      createdBy: CREATED_BY,
      ...options,
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
