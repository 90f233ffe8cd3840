import type { AuditRecord } from '#core/audit-record.ts';
import { auditRecord } from './audit-record.ts';

/** Records of one receipt that differ in all else. */
export const VARIED_RECORDS: readonly AuditRecord[] = [
  auditRecord({
    key: 'a "quoted", ünï.jpg',
    checks: ['dark', 'blurry'],
    verdict: 'review',
    scores: { dark: Math.fround(0.1) },
  }),
  auditRecord({
    key: 'b',
    state: 'unreadable',
    verdict: 'unreadable',
    errorCode: 'truncated',
    errorDetail: 'cut',
    widthPx: null,
  }),
  auditRecord({ key: 'c', bytes: 5_000_000_000, perceptualHash: 'f'.repeat(16) }),
];
