import { S3Client } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { MemoryQueue } from '#adapters/memory-queue.ts';
import { S3ObjectStore } from '#adapters/s3-store.ts';
import type { AuditRecord } from '#core/audit-record.ts';
import type { PackMessage } from '#core/messages.ts';
import type { VerdictAction } from '#core/pipeline-config.ts';
import { startLocalAws } from '#local-aws/server.ts';
import { auditRecord } from '#test/support/audit-record.ts';
import { runActions } from '#workers/verdict-actions.ts';

const MESSAGE = {
  v: 1,
  type: 'pack',
  job: 'j',
  stage: 'quality',
  name: '000000-000',
  origin: { lane: 'bulk', bucket: 'photos', shard: 0, range: 0, remakes: 0 },
  pack: { bytes: 1 },
} as const satisfies PackMessage;
const TAG_AND_TELL: VerdictAction = { on: ['reject'], lanes: ['bulk'], tag: true, send: true };

/** Objects of a bucket in which one must not be tagged and one has ten tags already, all of them rejected. */
async function rejected(keys: readonly string[], denied: string) {
  const aws = await startLocalAws({
    fault: ({ method, url }) =>
      method === 'PUT' && url.includes(`/${denied}?tagging`) ? 'denied' : undefined,
  });
  const client = new S3Client({
    endpoint: aws.endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'x', secretAccessKey: 'x' },
    forcePathStyle: true,
  });
  aws.createBucket('photos');
  const store = new S3ObjectStore({ bucket: 'photos', client });
  const records: AuditRecord[] = [];
  for (const key of keys) {
    await store.put(key, Buffer.from(key));
    const { etag, bytes } = (await store.head(key))!;
    records.push(auditRecord({ key, etag, bytes, verdict: 'reject', checks: ['dark'] }));
  }
  return { aws, store, records, [Symbol.asyncDispose]: () => aws[Symbol.asyncDispose]() };
}

describe('actions on verdicts', () => {
  it('are all done but for those of an object that is denied, which is named', async () => {
    await using bucket = await rejected(['a.jpg', 'b.jpg', 'c.jpg'], 'b.jpg');
    const verdicts = new MemoryQueue({ visibilityMs: 1000, maxDeliveries: 1 });
    const acting = runActions(MESSAGE, bucket.records, [TAG_AND_TELL], {
      openBucket: () => bucket.store,
      verdicts,
    });
    await expect(acting).rejects.toThrow(/s3:PutObjectTagging on s3:\/\/photos\/b\.jpg/);
    expect([...bucket.aws.tags.keys()].sort()).toEqual(['photos/a.jpg', 'photos/c.jpg']);
    expect(await verdicts.depth()).toMatchObject({ waiting: 3 });
  });

  it('leave an object out that has no room for tags, and say so', async () => {
    await using bucket = await rejected(['a.jpg', 'full.jpg'], 'none');
    await bucket.store.tag(
      'full.jpg',
      Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`own${i}`, ''])),
    );
    const skipped: string[] = [];
    await runActions(MESSAGE, bucket.records, [TAG_AND_TELL], {
      openBucket: () => bucket.store,
      onSkipped: (key, reason) => skipped.push(`${key}: ${reason}`),
    });
    expect(skipped).toEqual([expect.stringMatching(/^full\.jpg: .*10/)]);
    expect(bucket.aws.tags.get('photos/a.jpg')).toContain('sluice:verdict');
    expect(bucket.aws.tags.get('photos/full.jpg')).not.toContain('sluice:verdict');
  });
});
