import { appendFileSync } from 'node:fs';
import { type BenchResult, table } from '../support/bench.ts';

/**
 * Results that are on the screen and, as a line of JSON each, in a file as soon as they are measured: a machine that is lent may be
 * taken away.
 */
export class LiveResults {
  readonly all: BenchResult[] = [];
  readonly #path: string | undefined;

  constructor(path: string | undefined) {
    this.#path = path;
  }

  add(...results: readonly BenchResult[]): void {
    this.all.push(...results);
    for (const result of results) {
      if (this.#path !== undefined) appendFileSync(this.#path, `${JSON.stringify(result)}\n`);
      console.error(table('', [result]).split('\n').at(-1));
    }
  }
}
