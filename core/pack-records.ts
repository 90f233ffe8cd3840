import { type AuditRecord, type ImageFacts, NO_FINDINGS, type Receipt } from './audit-record.ts';
import type { ImageRef } from './image-ref.ts';
import { imageMeasures } from './measures.ts';
import type { PackHeader, PackItem, RefusedItem } from './pack.ts';
import { decide, type Policy } from './policy.ts';

type Scores = Readonly<Record<string, number>>;

/** Stands where an image's scores would: the engine failed on this very image. */
export class EngineFault {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/**
 * The audit records of one pack, one for each ref of its range, in the range's order.
 *
 * @param scores of each item, in the order of `header.items`, or why the model has none for it.
 */
export function recordsOfPack(
  header: PackHeader,
  scores: readonly (Scores | EngineFault)[],
  policy: Policy,
  receipt: Receipt,
): AuditRecord[] {
  const audited = header.items.map((item, i) => ({
    index: item.index,
    record: itemRecord(item, scores[i] as Scores | EngineFault, policy, receipt),
  }));
  const refused = header.refused.map((item) => ({
    index: item.index,
    record: unreadableRecord(item, receipt),
  }));
  return [...audited, ...refused].sort((a, b) => a.index - b.index).map(({ record }) => record);
}

function itemRecord(
  item: PackItem,
  scores: Scores | EngineFault,
  policy: Policy,
  receipt: Receipt,
): AuditRecord {
  if (!(scores instanceof EngineFault)) return auditedRecord(item, scores, policy, receipt);
  return {
    ...failedRecord(item.ref, scores.reason, receipt),
    errorCode: 'engine-failed',
    preprocessMs: item.preprocessMs,
  };
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
export function failedRecord(ref: ImageRef, reason: string, receipt: Receipt): AuditRecord {
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
