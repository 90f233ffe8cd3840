import { describe, expect, it } from 'vitest';
import { auditColumns } from '#core/audit-record.ts';
import { csvHeader, csvRow, jsonlRow } from '#core/audit-text.ts';
import { canonicalJson, shortHashOf } from '#core/canonical-json.ts';
import { auditRecord } from '#test/support/audit-record.ts';

const columns = auditColumns(['dark']);

describe('the CSV of an audit', () => {
  it('quotes what needs quotes, and has as many cells as columns', () => {
    const header = csvHeader(columns);
    const row = csvRow(
      columns,
      auditRecord({ key: 'a,"b"\nc', checks: ['dark', 'blurry'], scores: { dark: 0.25 } }),
    );
    expect(header.split(',')).toHaveLength(columns.length);
    expect(row.startsWith('"a,""b""\nc",audited,pass,dark blurry,')).toBe(true);
    expect(row).toContain(',0.25,');
  });

  it('has no formulas for a spreadsheet, and its numbers as they are', () => {
    const row = csvRow(columns, auditRecord({ key: '=HYPERLINK(1)', scores: { dark: -0.5 } }));
    expect(row.startsWith("'=HYPERLINK(1),audited")).toBe(true);
    expect(row).toContain(',-0.5,');
  });
});

describe('the JSON Lines of an audit', () => {
  it('are one object a line, with null where nothing is known', () => {
    const line = jsonlRow(columns, auditRecord({ key: 'a\nb' }));
    expect(line.indexOf('\n')).toBe(line.length - 1);
    expect(JSON.parse(line)).toMatchObject({ key: 'a\nb', checks: [], score_dark: null });
  });
});

describe('canonical JSON', () => {
  it('does not depend on the order in which an object was built', () => {
    expect(canonicalJson({ b: [1, { d: 1, c: 2 }], a: undefined })).toBe('{"b":[1,{"c":2,"d":1}]}');
    expect(shortHashOf({ a: 1, b: 2 })).toBe(shortHashOf({ b: 2, a: 1 }));
  });
});
