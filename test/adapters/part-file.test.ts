import { describe, expect, it } from 'vitest';
import { decodePart, encodePart, usageOfPart } from '#adapters/part-file.ts';
import { auditRecord } from '#test/support/audit-record.ts';
import { VARIED_RECORDS } from '#test/support/varied-records.ts';

const FAILED = { verdict: null, scores: {}, error: 'it did not end' };

const reread = (records: Parameters<typeof encodePart>[0]) => decodePart(Buffer.from(encodePart(records)));

describe('a part', () => {
  it('gives back the records it was made from', async () => {
    expect(await reread(VARIED_RECORDS)).toEqual(VARIED_RECORDS);
  });

  it('keeps scores as the float32 that they are in the audit table', async () => {
    const [read] = await reread([auditRecord({ scores: { dark: 0.1, 'a "quoted" label': 1e-9 } })]);
    expect(read?.scores).toEqual({ dark: Math.fround(0.1), 'a "quoted" label': Math.fround(1e-9) });
  });

  it('says what a shadow made of each image, or why it made nothing', async () => {
    const seen = VARIED_RECORDS.map((record, i) => ({
      ...record,
      shadow: i === 0 ? { verdict: null, scores: { nude: 0.5 }, error: null } : FAILED,
    }));
    expect(await reread(seen)).toEqual(seen);
  });

  it('may be empty of rows and of scores', async () => {
    expect(await reread([])).toEqual([]);
  });

  it('is refused where its rows were made in different ways', () => {
    const { receipt } = auditRecord();
    expect(() =>
      encodePart([auditRecord(), auditRecord({ receipt: { ...receipt, model: 'other' } })]),
    ).toThrow('different receipts');
  });

  it('is told from what is none', async () => {
    await expect(decodePart(Buffer.from('no Parquet'))).rejects.toMatchObject({ code: 'accounting-broken' });
    expect(() => usageOfPart(Buffer.from('no Parquet'))).toThrow('no Parquet file');
  });
});
