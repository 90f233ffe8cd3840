import type { AuditColumn, AuditRecord } from './audit-record.ts';

/** The first line of the CSV: the column names. */
export function csvHeader(columns: readonly AuditColumn[]): string {
  return csvLine(columns.map((column) => column.name));
}

/**
 * One record as a line of CSV (RFC 4180, LF line ends); lists are joined by spaces, null is empty. Text that a spreadsheet would take for a
 * formula has an apostrophe before it. Source: OWASP, "CSV Injection".
 */
export function csvRow(columns: readonly AuditColumn[], record: AuditRecord): string {
  return csvLine(
    columns.map((column) => {
      const cell = column.read(record);
      if (typeof cell === 'string') return /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
      return Array.isArray(cell) ? cell.join(' ') : String(cell ?? '');
    }),
  );
}

/** One record as a line of JSON Lines. */
export function jsonlRow(columns: readonly AuditColumn[], record: AuditRecord): string {
  return `${JSON.stringify(Object.fromEntries(columns.map((column) => [column.name, column.read(record)])))}\n`;
}

function csvLine(cells: readonly string[]): string {
  return `${cells.map((cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(',')}\n`;
}
