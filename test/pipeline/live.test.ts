import { setTimeout as sleep } from 'node:timers/promises';
import { GetObjectTaggingCommand, type S3Client } from '@aws-sdk/client-s3';
import { ReceiveMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodePart } from '#adapters/part-file.ts';
import type { AuditRecord } from '#core/audit-record.ts';
import { partPrefix } from '#core/job-layout.ts';
import type { VerdictMessage } from '#core/messages.ts';
import { liveJob } from '#functions/live/live-job.ts';
import { RunningPipeline } from '#test/support/running-pipeline.ts';

let running: RunningPipeline;

async function picture(level: number): Promise<Buffer> {
  const create = {
    width: 80,
    height: 60,
    channels: 3,
    background: { r: level, g: level, b: level },
  } as const;
  return sharp({ create }).jpeg().toBuffer();
}

/** The records of the live lane, once there are so many parts. */
async function records(parts: number): Promise<AuditRecord[]> {
  const { works } = running.pipeline;
  const prefix = partPrefix(liveJob(new Date().toISOString()), 'quality');
  for (let i = 0; i < 200; i++) {
    const { objects } = await works.list({ prefix });
    if (objects.length >= parts) {
      await sleep(300);
      const all = (await works.list({ prefix })).objects;
      const bodies = await Promise.all(all.map(async ({ key }) => (await works.get(key)).body));
      return (await Promise.all(bodies.map((body) => decodePart(body)))).flat();
    }
    await sleep(100);
  }
  throw new Error(`there are not ${parts} parts\n${running.log.slice(-20).join('')}`);
}

async function verdicts(): Promise<VerdictMessage[]> {
  const client: SQSClient = running.pipeline.clients.sqs;
  const QueueUrl = running.pipeline.config.queues.verdicts;
  const all: VerdictMessage[] = [];
  for (;;) {
    const command = new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 1 });
    const { Messages = [] } = await client.send(command);
    if (Messages.length === 0) return all;
    all.push(...Messages.map(({ Body = '' }) => JSON.parse(Body) as VerdictMessage));
  }
}

async function tagsOf(key: string): Promise<Record<string, string>> {
  const client: S3Client = running.pipeline.clients.s3;
  const { TagSet = [] } = await client.send(
    new GetObjectTaggingCommand({ Bucket: running.images, Key: key }),
  );
  return Object.fromEntries(TagSet.map(({ Key = '', Value = '' }) => [Key, Value]));
}

beforeEach(async () => {
  running = await RunningPipeline.start({
    visibilitySeconds: 2,
    config: {
      actions: [
        { on: ['review', 'reject'], tag: true, send: true, quarantine: 's3://test-work/quarantined/' },
      ],
    },
  });
  running.aws.notify(running.images, running.pipeline.config.queues.events);
  running.startFunctions();
  await running.startWorkerHere();
});
afterEach(() => running[Symbol.asyncDispose]());

describe('the live lane', () => {
  it('gives a new object a row, a tag, a message and a place in quarantine', async () => {
    const store = running.pipeline.bucket(running.images);
    await store.put('uploads/a b+ü.jpg', await picture(0));
    const [record, ...others] = await records(1);
    expect(others).toEqual([]);
    expect(record).toMatchObject({ key: 'uploads/a b+ü.jpg', state: 'audited', verdict: 'review' });
    const [verdict, ...more] = await verdicts();
    expect(more).toEqual([]);
    expect(verdict).toMatchObject({
      bucket: running.images,
      key: 'uploads/a b+ü.jpg',
      etag: record?.etag,
      verdict: 'review',
    });
    expect((await tagsOf('uploads/a b+ü.jpg'))['sluice:verdict']).toBe('review');
    const place = `quarantined/${running.images}/uploads/a b+ü.jpg`;
    expect(await running.pipeline.bucket('test-work').head(place)).toBeDefined();
  });

  it('makes one row and one action of an event that is delivered many times, and out of order', async () => {
    const store = running.pipeline.bucket(running.images);
    const events = await running.pipeline.queue('events');
    await store.put('once.jpg', await picture(0));
    const { etag, bytes } = (await store.head('once.jpg'))!;
    const record = (eTag: string) => ({
      eventName: 'ObjectCreated:Put',
      eventTime: new Date().toISOString(),
      s3: { bucket: { name: running.images }, object: { key: 'once.jpg', size: bytes, eTag } },
    });
    const bodies = ['an older etag', etag, etag, etag].map((eTag) =>
      JSON.stringify({ Records: [record(eTag), record(eTag)] }),
    );
    await events.send(bodies);
    await records(1);
    while ((await events.depth()).waiting + (await events.depth()).leased > 0) await sleep(50);
    await events.send(bodies);
    while ((await events.depth()).waiting + (await events.depth()).leased > 0) await sleep(50);
    expect(await records(1)).toHaveLength(1);
    expect(await verdicts()).toHaveLength(1);
  });

  it('keeps both rows of an object that was replaced, and acts on the one that is there', async () => {
    const store = running.pipeline.bucket(running.images);
    await store.put('twice.jpg', await picture(0));
    await records(1);
    await store.put('twice.jpg', await picture(255));
    const rows = await records(2);
    expect(new Set(rows.map((row) => row.etag)).size).toBe(2);
  });

  it('gives a row to what is no image, and ignores test events, removals and folder markers', async () => {
    const events = await running.pipeline.queue('events');
    const removal = {
      eventName: 'ObjectRemoved:Delete',
      eventTime: new Date().toISOString(),
      s3: { bucket: { name: running.images }, object: { key: 'gone.jpg' } },
    };
    await events.send([
      JSON.stringify({ Service: 'Amazon S3', Event: 's3:TestEvent', Bucket: running.images }),
      JSON.stringify({ Records: [removal] }),
    ]);
    const store = running.pipeline.bucket(running.images);
    await store.put('folder/', Buffer.from(''));
    await store.put('note.txt', Buffer.from('hello'));
    expect(await records(1)).toMatchObject([
      { key: 'note.txt', state: 'unreadable', errorCode: 'not-an-image' },
    ]);
    expect((await (await events.deadLetterQueue()).depth()).waiting).toBe(0);
  });

  it('goes before a backfill that fills the bulk lane', async () => {
    await running.stopFunctions();
    const store = running.pipeline.bucket(running.images);
    running.startFunctions({ only: ['plan', 'ingest', 'preprocess', 'finalize'] });
    const bytes = await picture(90);
    for (let i = 0; i < 200; i++) running.aws.objects.putObject('test-work', `source/${i}.jpg`, bytes);
    await running.submit('bulk', { source: { kind: 'prefix', bucket: 'test-work', prefix: 'source/' } });
    await running.reached('bulk', 'running');
    await store.put('urgent.jpg', await picture(0));
    expect(await records(1)).toMatchObject([{ key: 'urgent.jpg' }]);
    await running.reached('bulk', 'complete');
  });
});
