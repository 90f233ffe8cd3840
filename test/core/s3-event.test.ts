import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseS3Event } from '#core/s3-event.ts';

/** One record of a notification, with the fields that S3 sends. */
function record(key: string, fields: { eventName?: string; size?: number } = {}): object {
  return {
    eventVersion: '2.1',
    eventSource: 'aws:s3',
    awsRegion: 'eu-central-1',
    eventTime: '2026-03-01T08:00:00.000Z',
    eventName: fields.eventName ?? 'ObjectCreated:Put',
    userIdentity: { principalId: 'EXAMPLE' },
    s3: {
      s3SchemaVersion: '1.0',
      configurationId: 'live',
      bucket: { name: 'photos', ownerIdentity: { principalId: 'EXAMPLE' }, arn: 'arn:aws:s3:::photos' },
      object: {
        key,
        size: fields.size ?? 1024,
        eTag: 'd41d8cd98f00b204e9800998ecf8427e',
        sequencer: '0055AED6DCD90281E5',
      },
    },
  };
}

function notification(...records: object[]): string {
  return JSON.stringify({ Records: records });
}

function bridgeEvent(detailType: string, object: object): string {
  return JSON.stringify({
    version: '0',
    id: '17793124-05d4-b198-2fde-7ededc63b103',
    'detail-type': detailType,
    source: 'aws.s3',
    account: '111122223333',
    time: '2026-03-01T08:00:00Z',
    region: 'eu-central-1',
    resources: ['arn:aws:s3:::photos'],
    detail: { version: '0', bucket: { name: 'photos' }, object, reason: 'PutObject' },
  });
}

const testEvent = {
  Service: 'Amazon S3',
  Event: 's3:TestEvent',
  Time: '2026-03-01T08:00:00.000Z',
  Bucket: 'photos',
  RequestId: '5582815E1AEA5ADF',
  HostId: 'EXAMPLE',
};

function inSns(message: string): string {
  return JSON.stringify({
    Type: 'Notification',
    MessageId: 'da41e39f-ea4d-435a-b922-c6aae3915ebe',
    TopicArn: 'arn:aws:sns:eu-central-1:111122223333:uploads',
    Subject: 'Amazon S3 Notification',
    Message: message,
    Timestamp: '2026-03-01T08:00:01.000Z',
  });
}

/** As S3 encodes keys in notifications: form encoding of UTF-8, with or without "/". */
function formEncoded(key: string, encodesSlash: boolean): string {
  const encoded = encodeURIComponent(key)
    .replace(/[!'()~]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+');
  return encodesSlash ? encoded : encoded.replaceAll('%2F', '/');
}

const created = {
  bucket: 'photos',
  key: '2026/red flower+1.jpg',
  etag: 'd41d8cd98f00b204e9800998ecf8427e',
  bytes: 1024,
  sequencer: '0055AED6DCD90281E5',
  eventTime: '2026-03-01T08:00:00.000Z',
};

describe('a notification of S3', () => {
  it('names each created object, with its key decoded', () => {
    const body = notification(
      record('2026/red+flower%2B1.jpg'),
      record('b.jpg', { eventName: 'ObjectCreated:CompleteMultipartUpload', size: 5_000_000_000 }),
    );
    expect(parseS3Event(body)).toEqual([created, { ...created, key: 'b.jpg', bytes: 5_000_000_000 }]);
  });

  it('is understood inside an SNS envelope', () => {
    expect(parseS3Event(inSns(notification(record('2026/red+flower%2B1.jpg'))))).toEqual([created]);
  });

  it('keeps any key through the encoding that S3 uses', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), fc.boolean(), (key, encodesSlash) => {
        const [event] = parseS3Event(notification(record(formEncoded(key, encodesSlash))));
        expect(event?.key).toBe(key);
      }),
    );
  });

  it.each([
    'ObjectRemoved:Delete',
    'ObjectRemoved:DeleteMarkerCreated',
    'ObjectTagging:Put',
    'ObjectAcl:Put',
    'ObjectRestore:Completed',
    'LifecycleExpiration:Delete',
    'LifecycleTransition',
    'IntelligentTiering',
    'ReducedRedundancyLostObject',
  ])('names nothing for %s', (eventName) => {
    const removed = { eventName, s3: { bucket: { name: 'photos' }, object: { key: 'a.jpg' } } };
    expect(parseS3Event(notification(removed, record('b.jpg')))).toMatchObject([{ key: 'b.jpg' }]);
  });

  it('names no folder markers, and does name an object with content whose key ends in "/"', () => {
    const body = notification(record('photos/', { size: 0 }), record('odd/', { size: 1 }), record('empty'));
    expect(parseS3Event(body).map(({ key }) => key)).toEqual(['odd/', 'empty']);
  });

  it('names nothing when it is the test message that S3 sends at first', () => {
    expect(parseS3Event(JSON.stringify(testEvent))).toEqual([]);
    expect(parseS3Event(inSns(JSON.stringify(testEvent)))).toEqual([]);
  });

  it('is understood as MinIO sends it, with "s3:" before the event and a quoted etag', () => {
    const body = JSON.stringify({
      EventName: 's3:ObjectCreated:Put',
      Key: 'photos/a/b.jpg',
      Records: [
        {
          eventName: 's3:ObjectCreated:Put',
          s3: { bucket: { name: 'photos' }, object: { key: 'a%2Fb.jpg', eTag: '"abc"' } },
        },
      ],
    });
    expect(parseS3Event(body)).toEqual([
      { bucket: 'photos', key: 'a/b.jpg', etag: 'abc', bytes: 0, sequencer: '', eventTime: '' },
    ]);
  });
});

describe('an event of EventBridge', () => {
  const object = {
    key: '2026/red flower+1%20.jpg',
    size: 1024,
    etag: 'd41d8cd98f00b204e9800998ecf8427e',
    'version-id': 'IYV3p45BT0ac8hjHg1houSdS1a.Mro8e',
    sequencer: '0055AED6DCD90281E5',
  };

  it('names the created object, with its key as it stands', () => {
    expect(parseS3Event(bridgeEvent('Object Created', object))).toEqual([
      { ...created, key: '2026/red flower+1%20.jpg', eventTime: '2026-03-01T08:00:00Z' },
    ]);
  });

  it.each([
    'Object Deleted',
    'Object Restore Initiated',
    'Object Restore Completed',
    'Object Restore Expired',
    'Object Storage Class Changed',
    'Object Access Tier Changed',
    'Object ACL Updated',
    'Object Tags Added',
    'Object Tags Deleted',
  ])('names nothing for %s', (detailType) => {
    expect(parseS3Event(bridgeEvent(detailType, { key: 'a.jpg' }))).toEqual([]);
  });

  it('names no folder markers', () => {
    expect(parseS3Event(bridgeEvent('Object Created', { ...object, key: 'a/', size: 0 }))).toEqual([]);
  });
});

describe('any other message', () => {
  it.each([
    ['no JSON', 'hello', 'not JSON'],
    ['a list', '[]', 'a list'],
    ['a value', 'null', 'the value null'],
    ['an empty object', '{}', 'an empty object'],
    ['a message of another kind', '{"v":1,"type":"shard"}', 'an object with v, type'],
    ['an event of another service', '{"source":"aws.ec2","detail-type":"Object Created"}', 'source'],
    [
      'a call that CloudTrail saw',
      '{"source":"aws.s3","detail-type":"AWS API Call via CloudTrail"}',
      'source',
    ],
    ['records of another service', '{"Records":[{"eventName":"INSERT","dynamodb":{}}]}', 'Records'],
    ['an SNS subscription', '{"Type":"SubscriptionConfirmation","Message":"m"}', 'Type, Message'],
    ['an SNS envelope around no JSON', inSns('hello'), 'not JSON'],
    ['a record without its object', notification({ eventName: 'ObjectCreated:Put', s3: {} }), 's3.bucket'],
    ['a record with a negative size', notification(record('a', { size: -1 })), 's3.object.size'],
    ['a record with an empty key', notification(record('')), 's3.object.key'],
    ['a key that is not URL-encoded', notification(record('100%.jpg')), '100%.jpg'],
    ['an EventBridge event without its key', bridgeEvent('Object Created', {}), 'detail.object.key'],
  ])('is refused when it is %s', (_, body, came) => {
    expect(() => parseS3Event(body)).toThrow(
      expect.objectContaining({
        code: 'message-malformed',
        retryable: false,
        message: expect.stringContaining(came),
      }),
    );
  });
});
