import { createInterface } from 'node:readline/promises';
import type { Ask } from '#models/import/settle-input.ts';

/** Asks on the terminal; `undefined` where there is none, and in CI, where nobody would answer. */
export function terminalAsk(env: Readonly<Record<string, string | undefined>>): Ask | undefined {
  const inCi = env['CI'] !== undefined && env['CI'] !== '' && env['CI'] !== 'false';
  if (!process.stdin.isTTY || !process.stderr.isTTY || inCi) return undefined;
  return async (question, choices) => {
    const terminal = createInterface({ input: process.stdin, output: process.stderr });
    try {
      return await terminal.question(`${question}\n  ${choices.join(', ')}\n> `);
    } finally {
      terminal.close();
    }
  };
}
