import { StringDecoder } from 'node:string_decoder';
import { createGunzip } from 'node:zlib';

/** No row of an inventory comes near: a key has up to 1,024 bytes, an access control list some kilobytes. */
const MAX_LINE_CHARS = 1024 * 1024;
const UNZIPPED_CHUNK_BYTES = 256 * 1024;

/**
 * The rows of a gzipped CSV file as lists of fields, a piece of the file at a time. Fields may be quoted (S3 quotes
 * all of them); a quoted field may hold commas and doubled quotation marks, but no line break: keys are URL-encoded.
 *
 * @throws Error that says which line is wrong, or zlib's own for a damaged file.
 */
export async function* gzippedCsvRows(file: Buffer, signal?: AbortSignal): AsyncGenerator<string[]> {
  const unzipped = createGunzip({ chunkSize: UNZIPPED_CHUNK_BYTES });
  unzipped.end(file);
  const decoder = new StringDecoder('utf8');
  let line = 0;
  let rest = '';
  for await (const chunk of unzipped) {
    signal?.throwIfAborted();
    const lines = (rest + decoder.write(chunk as Buffer)).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_LINE_CHARS) throw new Error(`line ${line + lines.length + 1} is too long for CSV`);
    for (const text of lines) {
      line++;
      const fields = parseCsvLine(text, line);
      if (fields !== undefined) yield fields;
    }
  }
  const last = parseCsvLine(rest + decoder.end(), line + 1);
  if (last !== undefined) yield last;
}

/** The fields of one line, or `undefined` for an empty one. */
function parseCsvLine(text: string, line: number): string[] | undefined {
  const row = text.endsWith('\r') ? text.slice(0, -1) : text;
  if (row === '') return undefined;
  const fields: string[] = [];
  let at = 0;
  while (true) {
    if (row[at] === '"') {
      const end = closingQuote(row, at, line);
      fields.push(row.slice(at + 1, end).replaceAll('""', '"'));
      at = end + 1;
    } else {
      const comma = row.indexOf(',', at);
      const end = comma === -1 ? row.length : comma;
      fields.push(row.slice(at, end));
      at = end;
    }
    if (at === row.length) return fields;
    if (row[at] !== ',') throw new Error(`line ${line} has text after a closing quotation mark`);
    at++;
  }
}

function closingQuote(row: string, opening: number, line: number): number {
  let quote = row.indexOf('"', opening + 1);
  while (quote !== -1 && row[quote + 1] === '"') quote = row.indexOf('"', quote + 2);
  if (quote === -1) throw new Error(`line ${line} has an opening quotation mark and no closing one`);
  return quote;
}
