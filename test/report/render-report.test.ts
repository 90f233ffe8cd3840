import { describe, expect, it } from 'vitest';
import { REFUSAL_CODES } from '#core/refusal.ts';
import { escapeHtml, visibleText } from '#report/html.ts';
import { renderReport } from '#report/render-report.ts';
import type { ReportData } from '#report/report-data.ts';
import { itMeetsPageStandards } from '#test/support/page-standards.ts';

const JPEG = Uint8Array.of(0xff, 0xd8, 0xff, 0xd9);

/** A report in which everything that can come from a file name or its metadata is `name`. */
function reportOf(name: string): ReportData {
  const image = {
    key: name,
    verdict: 'review',
    checks: ['dark'],
    widthPx: 640,
    heightPx: 480,
    format: name,
    bytes: 1234,
    measures: { dark: 0.1234 },
    thumbnail: JPEG,
    duplicateOf: name,
  } as const;
  return {
    job: {
      id: name,
      source: name,
      model: name,
      modelSha256: name,
      preprocessHash: name,
      decodeHash: name,
      policyHash: name,
      softwareVersion: name,
      decoderVersion: name,
      provider: name,
      startedAt: '2026-01-01T00:00:00.000Z',
      finishedAt: '2026-01-01T00:01:00.000Z',
      seconds: 60,
      imagesPerSecond: 20.5,
    },
    totals: {
      planned: 1_234_567,
      audited: 1_234_000,
      unreadable: 500,
      failed: 67,
      verdicts: { pass: 1_233_000, review: 900, reject: 100, unreadable: 500 },
    },
    checks: [
      {
        check: 'dark',
        count: 900,
        verdict: 'review',
        rule: 'dark below 0.32',
        bounds: [{ measure: 'dark', below: 0.32 }],
      },
    ],
    flagged: [{ check: 'dark', items: [image], moreItems: 899 }],
    duplicates: {
      groups: [
        {
          kind: 'near',
          keptKey: name,
          members: [{ key: name, thumbnail: JPEG }, { key: name }],
          moreMembers: 3,
        },
      ],
      moreGroups: 2,
    },
    unreadable: REFUSAL_CODES.map((code) => ({
      code,
      count: 5,
      examples: [{ key: name, detail: name }],
      moreExamples: 4,
    })),
    failed: { keys: [name], moreKeys: 66 },
    outputs: { audit: 'audit.parquet', summary: 'summary.json' },
  };
}

describe('the audit report', () => {
  itMeetsPageStandards((name) => renderReport(reportOf(name)), ['./audit.parquet', './summary.json']);

  it('shows thumbnails within itself', () => {
    expect(renderReport(reportOf('name'))).toContain('src="data:image/jpeg;base64,/9j/2Q=="');
  });

  it('shows the accounting, and the measure that flagged an image', () => {
    const text = renderReport(reportOf('name')).replace(/<[^>]*>/g, ' ');
    for (const part of ['1,234,567', '1,234,000', '500', '67', '0.32', '0.12', '899'])
      expect(text).toContain(part);
  });

  it('renders a job in which nothing was found', () => {
    const nothing: ReportData = {
      ...reportOf('name'),
      totals: {
        planned: 0,
        audited: 0,
        unreadable: 0,
        failed: 0,
        verdicts: { pass: 0, review: 0, reject: 0, unreadable: 0 },
      },
      checks: [],
      flagged: [],
      duplicates: { groups: [], moreGroups: 0 },
      unreadable: [],
      failed: { keys: [], moreKeys: 0 },
    };
    expect(renderReport(nothing)).toMatch(/<\/html>\s*$/);
    expect(renderReport(nothing)).not.toMatch(/NaN|Infinity|undefined/);
  });
});

describe('escaping', () => {
  it('leaves ordinary text alone, in any script', () => {
    for (const text of ['photo 1.jpg', 'Füße', '日本', 'نمونه\u200cها', '👩\u200d👧'])
      expect(escapeHtml(text)).toBe(text);
  });

  it('shows what cannot be seen', () => {
    expect(visibleText('a\u202eb\n')).toBe('a⟪U+202E⟫b⟪U+000A⟫');
  });
});
