import type { S3ObjectStore } from '#adapters/s3-store.ts';
import type { AuditRecord } from '#core/audit-record.ts';
import { shortHashOf } from '#core/canonical-json.ts';
import type { PackMessage, VerdictMessage } from '#core/messages.ts';
import type { VerdictAction } from '#core/pipeline-config.ts';
import type { MessageQueue } from '#core/ports/message-queue.ts';
import { parseS3Url } from '#core/store-location.ts';

export interface VerdictActionPorts {
  openBucket(bucket: string): S3ObjectStore;
  readonly verdicts?: MessageQueue;
  /** Told of what can never be done, and why: trying again would not help. */
  onSkipped?(key: string, reason: string): void;
}

/** S3 allows these characters in tag values, and 256 of them. */
const NOT_IN_TAG = /[^\p{L}\p{Z}\p{N}_.:/=+\-@]/gu;
const MAX_TAG_CHARS = 256;

/**
 * Does what the pipeline says about the verdicts of one part. All of it may be repeated: tags and copies come out the
 * same, and a verdict message has the same id. An object that has changed since it was audited is left alone. What fails of one
 * object keeps nothing from the others.
 *
 * @throws SluiceError of the first object whose actions failed, once all others are done.
 */
export async function runActions(
  message: PackMessage,
  records: readonly AuditRecord[],
  actions: readonly VerdictAction[],
  ports: VerdictActionPorts,
): Promise<void> {
  const { lane } = message.origin;
  const bucket = message.origin.lane === 'live' ? message.origin.image.bucket : message.origin.bucket;
  if (bucket === null) return;
  const failures: unknown[] = [];
  for (const action of actions) {
    if (!action.lanes.includes(lane)) continue;
    const concerned = records.filter(
      (record) => record.verdict !== null && action.on.includes(record.verdict),
    );
    const done = await Promise.allSettled(concerned.map((record) => actOn(bucket, record, action, ports)));
    for (const outcome of done) if (outcome.status === 'rejected') failures.push(outcome.reason);
    if (action.send && concerned.length > 0) {
      const messages = concerned.map((record) => JSON.stringify(verdictMessage(bucket, record)));
      await ports.verdicts?.send(messages);
    }
  }
  if (failures.length > 0) throw failures[0];
}

async function actOn(
  bucket: string,
  record: AuditRecord,
  action: VerdictAction,
  ports: VerdictActionPorts,
): Promise<void> {
  const { key, etag, verdict, checks } = record;
  if (!action.tag && action.quarantine === undefined) return;
  const store = ports.openBucket(bucket);
  const current = await store.head(key);
  // Another object by now, or none: its own event will tell of it.
  if (current === undefined || current.etag !== etag) return;
  if (action.tag) {
    const tags = { 'sluice:verdict': verdict ?? '', 'sluice:checks': checks.join(' ') };
    if ((await store.tag(key, mapValues(tags, tagText))) === 'full')
      ports.onSkipped?.(key, 'the object has no room for further tags: S3 allows 10');
  }
  if (action.quarantine !== undefined) {
    const place = parseS3Url(action.quarantine);
    await ports
      .openBucket(place.bucket)
      .copyFrom({ bucket, key, etag }, `${withSlash(place.prefix)}${bucket}/${key}`);
  }
}

function verdictMessage(bucket: string, record: AuditRecord): VerdictMessage {
  const { key, etag, verdict, checks, scores, receipt } = record;
  const { modelSha256: model, decodeHash: decode, policyHash: policy } = receipt;
  const id = shortHashOf({ bucket, key, etag, model, decode, policy });
  return {
    v: 1,
    type: 'verdict',
    id,
    bucket,
    key,
    etag,
    verdict: verdict ?? '',
    checks: [...checks],
    scores: { ...scores },
    job: receipt.job,
    model: receipt.model,
  };
}

function tagText(text: string): string {
  return text.replace(NOT_IN_TAG, ' ').slice(0, MAX_TAG_CHARS);
}

function withSlash(prefix: string): string {
  return prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
}

function mapValues(
  object: Readonly<Record<string, string>>,
  map: (value: string) => string,
): Record<string, string> {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, map(value)]));
}
