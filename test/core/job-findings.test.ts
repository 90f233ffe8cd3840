import { describe, expect, it } from 'vitest';
import { NO_FINDINGS } from '#core/audit-record.ts';
import { JobFindingsBuilder } from '#core/job/job-findings.ts';
import { isOddSize, ordinarySizes, sizePx } from '#core/job/odd-size.ts';
import { Policy } from '#core/policy.ts';
import { auditRecord } from '#test/support/audit-record.ts';

const policy = Policy.parse({ rules: [], nearDuplicateMaxBits: 2 });

/** Keys name their pixels: "red/1" and "red/2" have the same ones. */
const pixelsOf = (key: string): string => key.split('/')[0] as string;

function findingsOf(...records: ReturnType<typeof auditRecord>[]) {
  const builder = new JobFindingsBuilder(policy);
  for (const record of records) builder.add(record);
  const index = builder.finish(
    new Map(builder.candidates().map(({ position, key }) => [position, pixelsOf(key)])),
  );
  return records.filter((record) => record.state === 'audited').map((record, i) => index.of(i, record));
}

describe('duplicates of a job', () => {
  it('keep the copy with the most pixels, then bytes, then the first, and flag the others', () => {
    const [small, large, other] = findingsOf(
      auditRecord({ key: 'a/small', bytes: 10, contentHash: 'a'.repeat(16) }),
      auditRecord({ key: 'a/large', bytes: 20, contentHash: 'a'.repeat(16) }),
      auditRecord({ key: 'b/other', contentHash: 'b'.repeat(16) }),
    );
    const group = { pixelHash: 'a', exactGroup: 'a/small', nearGroup: null };
    expect(small?.findings).toEqual({ ...group, duplicateOf: 'a/large' });
    expect(large?.findings).toEqual({ ...group, duplicateOf: null });
    expect(other?.findings).toEqual(NO_FINDINGS);
    expect([small, large, other].map((f) => f?.measures['exact_duplicate'])).toEqual([1, 0, 0]);
  });

  it('are exact only with equal pixels: what looks the same at the size that the model sees is near', () => {
    const same = { contentHash: 'a'.repeat(16), perceptualHash: '00000000000000ff' };
    const [a, b] = findingsOf(auditRecord({ key: 'a', ...same }), auditRecord({ key: 'b', ...same }));
    expect(b?.findings).toEqual({ pixelHash: 'b', exactGroup: null, nearGroup: 'a', duplicateOf: 'a' });
    expect([a, b].map((f) => f?.measures['exact_duplicate'])).toEqual([0, 0]);
  });

  it('are exact where an earlier job has found their pixels equal, and not where nobody has compared them', () => {
    const builder = new JobFindingsBuilder(policy);
    const records = ['x', 'x', null, null].map((pixelHash, i) =>
      auditRecord({ key: `${i}`, pixelHash, contentHash: 'a'.repeat(16) }),
    );
    for (const record of records) builder.add(record);
    const index = builder.finish();
    const groups = records.map((record, i) => index.of(i, record).findings.exactGroup);
    expect(groups).toEqual(['0', '0', null, null]);
  });

  it('are near when their hashes differ in few bits, and are then no exact duplicates', () => {
    const [a, b] = findingsOf(
      auditRecord({ key: 'a', perceptualHash: '00000000000000ff', contentHash: 'a'.repeat(16) }),
      auditRecord({ key: 'b', perceptualHash: '00000000000000fc', contentHash: 'b'.repeat(16) }),
    );
    expect(b?.findings).toEqual({ ...NO_FINDINGS, nearGroup: 'a', duplicateOf: 'a' });
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
      auditRecord({ key: 'a', perceptualHash: null, contentHash: 'a'.repeat(16) }),
      auditRecord({ key: 'b', perceptualHash: null, contentHash: 'b'.repeat(16) }),
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
