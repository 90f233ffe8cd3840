import { describe, expect, it } from 'vitest';
import { JobFindingsBuilder } from '#core/job/job-findings.ts';
import { isOddSize, ordinarySizes, sizePx } from '#core/job/odd-size.ts';
import { Policy } from '#core/policy.ts';
import { auditRecord } from '#test/support/audit-record.ts';

const policy = Policy.parse({ rules: [], nearDuplicateMaxBits: 2 });

function findingsOf(...records: ReturnType<typeof auditRecord>[]) {
  const builder = new JobFindingsBuilder(policy);
  for (const record of records) builder.add(record);
  const index = builder.finish();
  return records.filter((record) => record.state === 'audited').map((record, i) => index.of(i, record));
}

describe('duplicates of a job', () => {
  it('keep the copy with the most pixels, then bytes, then the first, and flag the others', () => {
    const [small, large, other] = findingsOf(
      auditRecord({ key: 'small', widthPx: 10, heightPx: 10, contentHash: 'a'.repeat(32) }),
      auditRecord({ key: 'large', widthPx: 20, heightPx: 10, contentHash: 'a'.repeat(32) }),
      auditRecord({ key: 'other', contentHash: 'b'.repeat(32) }),
    );
    expect(small?.findings).toEqual({ exactGroup: 'small', nearGroup: null, duplicateOf: 'large' });
    expect(large?.findings).toEqual({ exactGroup: 'small', nearGroup: null, duplicateOf: null });
    expect([small, large, other].map((f) => f?.measures['exact_duplicate'])).toEqual([1, 0, 0]);
  });

  it('are near when their hashes differ in few bits, and are then no exact duplicates', () => {
    const [a, b] = findingsOf(
      auditRecord({ key: 'a', perceptualHash: '00000000000000ff', contentHash: 'a'.repeat(32) }),
      auditRecord({ key: 'b', perceptualHash: '00000000000000fc', contentHash: 'b'.repeat(32) }),
    );
    expect(b?.findings).toEqual({ exactGroup: null, nearGroup: 'a', duplicateOf: 'a' });
    expect([a, b].map((f) => f?.measures['near_duplicate'])).toEqual([0, 1]);
    expect([a, b].map((f) => f?.measures['exact_duplicate'])).toEqual([0, 0]);
  });

  it('never are files that cannot be read', () => {
    const unreadable = {
      state: 'unreadable',
      contentHash: null,
      perceptualHash: null,
      widthPx: null,
      heightPx: null,
    } as const;
    expect(
      findingsOf(auditRecord({ key: 'a', ...unreadable }), auditRecord({ key: 'b', ...unreadable })),
    ).toEqual([]);
  });

  it('are not near for having no hash, as blank pictures have none', () => {
    const [a, b] = findingsOf(
      auditRecord({ key: 'a', perceptualHash: null, contentHash: 'a'.repeat(32) }),
      auditRecord({ key: 'b', perceptualHash: null, contentHash: 'b'.repeat(32) }),
    );
    expect([a?.findings.nearGroup, b?.findings.nearGroup]).toEqual([null, null]);
  });
});

describe('an odd size', () => {
  it('lies outside the quartiles by more than three interquartile ranges', () => {
    const sizes = [90, 95, 100, 105, 110, 100, 98, 102, 500];
    const range = ordinarySizes(Float64Array.from(sizes), 3);
    expect(sizes.filter((size) => isOddSize(size, range))).toEqual([500]);
  });

  it('is none where all sizes are equal but for the order of width and height', () => {
    const sizes = [sizePx(600, 451), sizePx(451, 600), sizePx(600, 451)];
    const range = ordinarySizes(Float64Array.from(sizes), 3);
    expect(sizes.some((size) => isOddSize(size, range))).toBe(false);
  });

  it('is any other size where all but one are equal', () => {
    const range = ordinarySizes(Float64Array.from([100, 100, 100, 100, 99]), 3);
    expect([isOddSize(99, range), isOddSize(100, range)]).toEqual([true, false]);
  });
});
