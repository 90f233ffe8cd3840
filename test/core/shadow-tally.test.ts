import { describe, expect, it } from 'vitest';
import { ShadowTally } from '#core/job/shadow-tally.ts';
import { Policy } from '#core/policy.ts';
import { auditRecord } from '#test/support/audit-record.ts';

const shadow = { model: 'next', modelSha256: 'a', decodeHash: 'd', scores: ['nude'] };
const policy = Policy.parse({
  rules: [{ check: 'nude', when: { measure: 'nude', above: 0.5 }, verdict: 'review' }],
});

describe('the tally of a shadow', () => {
  it('counts agreement and flips, and apart from them where it made nothing, with the first reason', () => {
    const tally = new ShadowTally('content', shadow, policy);
    const saw = (nude: number) => ({ verdict: null, scores: { nude }, error: null });
    const failed = (error: string) => ({ verdict: null, scores: {}, error });
    const seen = [saw(0.2), saw(0.9), failed('it did not end'), failed('it is given up')].map((one) =>
      tally.judged(auditRecord({ shadow: one }), 'pass', {}),
    );
    expect(seen.map((record) => record.shadow?.verdict)).toEqual(['pass', 'review', null, null]);
    expect(tally.totals()).toMatchObject({
      compared: 2,
      agreed: 1,
      flips: { 'pass → review': 1 },
      failed: 2,
      failure: 'it did not end',
    });
  });

  it('passes a row over that no shadow has seen', () => {
    const tally = new ShadowTally('content', shadow, policy);
    const record = auditRecord();
    expect(tally.judged(record, 'pass', {})).toBe(record);
    expect(tally.totals()).toMatchObject({ compared: 0, failed: 0, failure: null });
  });
});
