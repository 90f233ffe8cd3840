import { describe, expect, it } from 'vitest';
import { PipelineConfig } from '#core/pipeline-config.ts';
import { wantedImage } from '#functions/live/wanted-image.ts';

const url = 'https://sqs.eu-west-1.amazonaws.com/1/queue';
const wanted = (change: object, bucket: string, key: string, bytes = 9): boolean => {
  const queues = { jobs: url, shards: url, events: url, live: url, bulk: url };
  const config = PipelineConfig.parse({ work: 's3://photos/work/', queues, ...change });
  return wantedImage(config)({ bucket, ref: { key, etag: '', bytes }, at: '2026-10-01T00:00:00.000Z' });
};

describe('a new object on the live lane', () => {
  it('is audited unless the pipeline wrote it: a part or a copy would be the event of another one', () => {
    const quarantine = { on: ['reject' as const], quarantine: 's3://photos/quarantined/' };
    const change = { actions: [quarantine] };
    expect(wanted(change, 'photos', 'in/a.jpg')).toBe(true);
    expect(wanted(change, 'photos', 'work/parts/live-2026-10-01/quality/1.parquet')).toBe(false);
    expect(wanted(change, 'photos', 'work/results/jobs/job/report.html')).toBe(false);
    expect(wanted(change, 'photos', 'quarantined/photos/in/a.jpg')).toBe(false);
    expect(wanted(change, 'others', 'quarantined/photos/in/a.jpg')).toBe(true);
    expect(wanted({ actions: [{ ...quarantine, quarantine: 's3://apart/' }] }, 'apart', 'photos/a.jpg')).toBe(
      false,
    );
  });

  it('is audited unless the filter of the lane keeps it out', () => {
    const change = { live: { filter: { suffixes: ['.jpg'], minBytes: 5 } } };
    expect(wanted(change, 'photos', 'a.JPG')).toBe(true);
    expect(wanted(change, 'photos', 'a.txt')).toBe(false);
    expect(wanted(change, 'photos', 'a.jpg', 4)).toBe(false);
  });
});
