import { z } from 'zod';

const Entry = z.union([
  z.string().min(1),
  z.object({ key: z.string().min(1), etag: z.string().optional(), bytes: z.int().min(0).optional() }),
]);

/**
 * The key that one line of a manifest names, or what is wrong with the line. A line is a path relative to the
 * manifest's root, or JSON: a string, or an object with a `key` (JSON Lines). Empty lines and lines that begin
 * with `#` name nothing.
 *
 * @returns `undefined` for a line that names nothing.
 */
export function parseManifestLine(line: string): { key: string } | { problem: string } | undefined {
  const text = line.trim();
  if (text === '' || text.startsWith('#')) return undefined;
  if (text.includes('\uFFFD') || text.includes('\0')) return { problem: 'it is not UTF-8 text' };
  if (isCsvHeader(text))
    return { problem: 'it is the header of a CSV table: expected only keys, one a line' };
  const isJson = text.startsWith('{') || text.startsWith('"');
  const entry = isJson ? parseJson(text) : text;
  if (entry === undefined) return { problem: 'it begins like JSON and is not valid JSON' };
  const parsed = Entry.safeParse(entry);
  if (!parsed.success) return { problem: 'expected a path, or a JSON object with a "key"' };
  return normalizedKey(typeof parsed.data === 'string' ? parsed.data : parsed.data.key);
}

/** Whether a line is the header of a table with a column of keys and further ones, and not a key with a comma in it. */
export function isCsvHeader(line: string): boolean {
  const [first = '', ...others] = line.split(/[,;\t]/).map((cell) => cell.trim().replace(/^"(.*)"$/, '$1'));
  const isName = (cell: string): boolean => /^[a-z_][\w ]*$/i.test(cell);
  return others.length > 0 && isName(first) && others.every(isName);
}

/** Keys have "/" between names, no "." or "..", and no root. */
function normalizedKey(path: string): { key: string } | { problem: string } {
  const names: string[] = [];
  if (/^(\/|[a-zA-Z]:[\\/])/.test(path)) {
    return {
      problem: 'absolute paths are not keys: expected a path relative to the manifest (or to --root)',
    };
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(path)) {
    return {
      problem:
        'it is a URL: expected a path relative to the manifest (or to --root, which may be s3://bucket/)',
    };
  }
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue;
    if (name !== '..') names.push(name);
    else if (names.pop() === undefined)
      return { problem: 'it leads out of the source: set --root to a folder above' };
  }
  const key = names.join('/');
  return key === '' ? { problem: 'it names no file' } : { key };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
