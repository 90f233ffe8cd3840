import { describe, expect, it } from 'vitest';
import { summaryTable } from '#cli/summary-table.ts';
import type { Summary } from '#core/summary.ts';

/** Of a job of three images, all unreadable. */
function summary(refusals: Summary['refusals']): Summary {
  return {
    schema: 1,
    job: 'job',
    source: 's3://photos/',
    model: 'quality',
    modelSha256: '0',
    originalSha256: '0',
    decodeHash: 'd',
    preprocessHash: 'p',
    policyHash: 'q',
    policy: { rules: [], nearDuplicateMaxBits: 0, oddSizeIqrs: 3 },
    softwareVersion: 'sluice 0',
    planned: 3,
    carried: 0,
    audited: 0,
    unreadable: 3,
    failed: 0,
    verdicts: { pass: 0, review: 0, reject: 0, unreadable: 3 },
    checks: {},
    refusals,
    failedKeys: [],
    sourceProblems: [],
    sourceProblemCount: 0,
    ordinarySizesPx: null,
    startedAt: '2026-11-20T00:00:00.000Z',
    finishedAt: '2026-11-20T00:00:01.000Z',
    seconds: 1,
    imagesPerSecond: 3,
    outputs: {},
  };
}

describe('the summary at a terminal', () => {
  it('says that a permission is missing where none of the images may be read', () => {
    expect(summaryTable(summary({ forbidden: 3 }), {})).toMatch(/none of the images may be read.*permission/);
    expect(summaryTable(summary({ corrupt: 2, forbidden: 1 }), {})).toMatch(/1 may not be read/);
    expect(summaryTable(summary({ corrupt: 3 }), {})).not.toMatch(/may/);
  });
});
