import { describe, expect, it } from 'vitest';
import { imagesOf, liveImages } from '#functions/live/live-images.ts';
import { eventTime, isLiveJob, liveJob } from '#functions/live/live-job.ts';

const event = (change: object): string =>
  JSON.stringify({
    Records: [
      {
        eventName: 'ObjectCreated:Put',
        s3: { bucket: { name: 'photos' }, object: { key: 'a.jpg', size: 9, eTag: 'e' } },
        ...change,
      },
    ],
  });

describe('the images of an S3 event', () => {
  it('belong to the day that the event tells of, or to this one where it tells none', () => {
    const [told] = imagesOf(event({ eventTime: '2026-10-01T12:00:00Z' }));
    expect(told).toMatchObject({ bucket: 'photos', at: '2026-10-01T12:00:00.000Z' });
    for (const change of [{}, { eventTime: '' }, { eventTime: 'soon' }]) {
      const [untold] = imagesOf(event(change));
      expect(isLiveJob(liveJob(untold?.at ?? ''))).toBe(true);
    }
    expect(eventTime('', 0)).toBe('1970-01-01T00:00:00.000Z');
  });

  it('are none where a message is about something else', () => {
    expect(liveImages('{"v":1,"type":"shard","job":"job"}')).toBeUndefined();
    expect(liveImages('no JSON')).toBeUndefined();
    expect(() => imagesOf('no JSON')).toThrow(/expected an S3 event/);
  });
});
