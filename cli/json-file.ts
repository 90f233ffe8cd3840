import { readFile } from 'node:fs/promises';
import { messageOf, SluiceError } from '#core/error.ts';

/** @param what the file holds, for the message. @throws SluiceError `config-invalid` for a file that is not there, or no JSON object. */
export async function readJsonObject(path: string, what: string): Promise<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new SluiceError(
      'config-invalid',
      `expected a JSON file at ${path}: ${messageOf(cause)}; check the path, and the file with a JSON linter`,
      { cause },
    );
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new SluiceError(
    'config-invalid',
    `expected ${what} in ${path}, a JSON object such as {…}, got ${kindOf(value)}`,
  );
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`;
}
