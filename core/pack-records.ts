import { type AuditRecord, type ImageFacts, NO_FINDINGS, type Receipt } from './audit-record.ts';
import { imageMeasures } from './measures.ts';
import type { PackHeader, PackItem, RefusedItem } from './pack.ts';
import { decide, type Policy } from './policy.ts';

/**
 * The audit records of one pack, one for each ref of its range, in the range's order.
 *
 * @param scores of each item, in the order of `header.items`.
 */
export function recordsOfPack(
  header: PackHeader,
  scores: readonly Readonly<Record<string, number>>[],
  policy: Policy,
  receipt: Receipt,
): AuditRecord[] {
  const audited = header.items.map((item, i) => ({
    index: item.index,
    record: auditedRecord(item, scores[i] ?? {}, policy, receipt),
  }));
  const refused = header.refused.map((item) => ({
    index: item.index,
    record: unreadableRecord(item, receipt),
  }));
  return [...audited, ...refused].sort((a, b) => a.index - b.index).map(({ record }) => record);
}

function auditedRecord(
  item: PackItem,
  scores: Readonly<Record<string, number>>,
  policy: Policy,
  receipt: Receipt,
): AuditRecord {
  const facts: ImageFacts = {
    ...item.ref,
    widthPx: item.widthPx,
    heightPx: item.heightPx,
    format: item.format,
    contentHash: item.contentHash,
    perceptualHash: item.perceptualHash,
    preprocessMs: item.preprocessMs,
  };
  const decision = decide(policy, imageMeasures(facts, scores));
  return {
    ...facts,
    ...NO_FINDINGS,
    ...decision,
    state: 'audited',
    errorCode: null,
    errorDetail: null,
    scores,
    receipt,
  };
}

function unreadableRecord(item: RefusedItem, receipt: Receipt): AuditRecord {
  return {
    ...item.ref,
    ...NO_FACTS,
    ...NO_FINDINGS,
    preprocessMs: item.preprocessMs,
    state: 'unreadable',
    verdict: 'unreadable',
    checks: [],
    errorCode: item.refusal.code,
    errorDetail: item.refusal.detail,
    scores: {},
    receipt,
  };
}

/** The record of an image whose range ended among the dead letters: nobody knows anything of it. */
export function failedRecord(
  ref: { key: string; etag: string; bytes: number },
  reason: string,
  receipt: Receipt,
): AuditRecord {
  return {
    ...ref,
    ...NO_FACTS,
    ...NO_FINDINGS,
    preprocessMs: null,
    state: 'failed',
    verdict: null,
    checks: [],
    errorCode: 'dead-letter',
    errorDetail: reason,
    scores: {},
    receipt,
  };
}

const NO_FACTS = {
  widthPx: null,
  heightPx: null,
  format: null,
  contentHash: null,
  perceptualHash: null,
} as const;
