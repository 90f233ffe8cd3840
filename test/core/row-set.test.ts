import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RowSet } from '#core/row-set.ts';

describe('a set of rows', () => {
  it('holds what was added, counts each row once, and survives being stored', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(200)), (rows) => {
        const set = new RowSet(201);
        for (const row of rows) set.add(row);
        const again = new RowSet(201, Uint8Array.from(set.bytes));
        for (const each of [set, again]) {
          expect(each.count).toBe(new Set(rows).size);
          for (let row = 0; row <= 200; row++) expect(each.has(row)).toBe(rows.includes(row));
        }
      }),
    );
  });
});
