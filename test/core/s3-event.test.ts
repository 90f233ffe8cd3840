import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseS3Event } from '#core/s3-event.ts';

const TIME = '2026-11-20T08:22:00.000Z';

function notification(eventName: string, key: string, object: object = {}): string {
  return JSON.stringify({
    Records: [
      {
        eventVersion: '2.1',
        eventName,
        eventTime: TIME,
        s3: { bucket: { name: 'photos' }, object: { key, size: 3, eTag: 'abc', sequencer: '0A', ...object } },
      },
    ],
  });
}

describe('an S3 event', () => {
  it('is read from a notification, by itself or through SNS', () => {
    const body = notification('ObjectCreated:Put', 'a+b/%C3%BC.jpg');
    const expected = [{ bucket: 'photos', key: 'a b/ü.jpg', etag: 'abc', bytes: 3, eventTime: TIME }];
    expect(parseS3Event(body)).toEqual(expected);
    expect(parseS3Event(JSON.stringify({ Type: 'Notification', Message: body }))).toEqual(expected);
  });

  it('is read from EventBridge, whose keys are not encoded', () => {
    const event = (type: string) =>
      JSON.stringify({
        version: '0',
        source: 'aws.s3',
        'detail-type': type,
        time: TIME,
        detail: { bucket: { name: 'photos' }, object: { key: 'a+b/100%.jpg', size: 3, etag: 'abc' } },
      });
    expect(parseS3Event(event('Object Created'))).toEqual([
      { bucket: 'photos', key: 'a+b/100%.jpg', etag: 'abc', bytes: 3, eventTime: TIME },
    ]);
    expect(parseS3Event(event('Object Deleted'))).toEqual([]);
  });

  it('comes to nothing for test events, removals, other changes and folder markers', () => {
    expect(
      parseS3Event(JSON.stringify({ Service: 'Amazon S3', Event: 's3:TestEvent', Bucket: 'b' })),
    ).toEqual([]);
    for (const name of ['ObjectRemoved:Delete', 'ObjectTagging:Put', 'ObjectRestore:Completed']) {
      expect(parseS3Event(notification(name, 'a.jpg'))).toEqual([]);
    }
    expect(parseS3Event(notification('ObjectCreated:Put', 'folder/', { size: 0 }))).toEqual([]);
  });

  it('is refused when it is anything else', () => {
    for (const body of [
      '',
      'hello',
      '[]',
      '{}',
      '{"Records":[{}]}',
      notification('ObjectCreated:Put', '%E0%A4%A'),
    ]) {
      expect(() => parseS3Event(body)).toThrowError(expect.objectContaining({ code: 'message-malformed' }));
    }
  });

  it('gives back every key as S3 encodes it', () => {
    const keys = fc.string({ unit: 'binary', minLength: 1 }).filter((key) => !key.endsWith('/'));
    fc.assert(
      fc.property(keys, (key) => {
        const encoded = encodeURIComponent(key).replaceAll('%20', '+').replaceAll('%2F', '/');
        expect(parseS3Event(notification('ObjectCreated:Copy', encoded))[0]?.key).toBe(key);
      }),
    );
  });
});
