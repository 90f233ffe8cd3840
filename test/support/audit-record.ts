import { type AuditRecord, NO_FINDINGS } from '#core/audit-record.ts';

/** An audited record of an ordinary image, with these members changed. */
export function auditRecord(changes: Partial<AuditRecord> = {}): AuditRecord {
  return {
    key: 'photo.jpg',
    etag: 'etag',
    bytes: 1000,
    widthPx: 640,
    heightPx: 480,
    format: 'jpeg',
    contentHash: '0'.repeat(16),
    perceptualHash: null,
    preprocessMs: 2.5,
    ...NO_FINDINGS,
    state: 'audited',
    verdict: 'pass',
    checks: [],
    errorCode: null,
    errorDetail: null,
    scores: {},
    receipt: {
      job: 'job',
      stage: 'stage',
      pack: 'job/stage/000000-000',
      model: 'model',
      modelSha256: 'f'.repeat(64),
      originalSha256: 'e'.repeat(64),
      preprocessHash: 'p',
      decodeHash: 'd',
      policyHash: 'q',
      softwareVersion: 'sluice 0',
      decoderVersion: 'decoder 0',
      provider: 'cpu',
    },
    ...changes,
  };
}
