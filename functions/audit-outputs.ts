import { AuditParquetWriter } from '#adapters/parquet-audit.ts';
import { type AuditRecord, auditColumns } from '#core/audit-record.ts';
import { csvHeader, csvRow, jsonlRow } from '#core/audit-text.ts';
import type { ObjectStore, ObjectWriter } from '#core/ports/object-store.ts';

export const AUDIT_FORMATS = ['parquet', 'csv', 'jsonl'] as const;
export type AuditFormat = (typeof AUDIT_FORMATS)[number];

/** A file that takes records one by one and appears whole when it is finished. */
interface AuditOutput {
  write(record: AuditRecord): Promise<void>;
  finish(): Promise<void>;
  /** Leaves nothing behind. */
  abort(): Promise<void>;
}

/** Text is collected up to this size before it is written. */
const TEXT_CHUNK_CHARS = 1 << 20;

/**
 * Writes `audit.<format>` for each format while `produce` hands in the records. The files appear together once it
 * has come to its end; if it throws, none does.
 */
export async function writeAudit(
  formats: readonly AuditFormat[],
  results: ObjectStore,
  scores: readonly string[],
  produce: (write: (record: AuditRecord) => Promise<void>) => Promise<void>,
): Promise<void> {
  const outputs = await Promise.all(formats.map((format) => openAuditOutput(format, results, scores)));
  try {
    await produce(async (record) => {
      for (const output of outputs) await output.write(record);
    });
  } catch (error) {
    await Promise.all(outputs.map((output) => output.abort()));
    throw error;
  }
  for (const output of outputs) await output.finish();
}

async function openAuditOutput(
  format: AuditFormat,
  results: ObjectStore,
  scores: readonly string[],
): Promise<AuditOutput> {
  const output = await results.createWriter(auditFileName(format));
  if (format === 'parquet') return new AuditParquetWriter(output, scores);
  const columns = auditColumns(scores);
  return format === 'csv'
    ? new TextOutput(output, csvHeader(columns), (record) => csvRow(columns, record))
    : new TextOutput(output, '', (record) => jsonlRow(columns, record));
}

export function auditFileName(format: AuditFormat): string {
  return `audit.${format}`;
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
    if (this.#text.length >= TEXT_CHUNK_CHARS) await this.#flush();
  }

  async finish(): Promise<void> {
    await this.#flush();
    await this.#output.commit();
  }

  abort(): Promise<void> {
    return this.#output.abort();
  }

  async #flush(): Promise<void> {
    const text = this.#text;
    this.#text = '';
    await this.#output.write(Buffer.from(text));
  }
}
