import { describe, expect, it } from 'vitest';
import { DEPLOYED_TERMS } from '#core/cost/deployed-terms.ts';
import { bottleneckOf, type WorkerStatus } from '#core/worker-status.ts';
import { FeedMeter } from '#workers/feed-meter.ts';
import { WorkerMetrics } from '#workers/worker-metrics.ts';

describe('the feed meter', () => {
  it('gives every moment to one state, and a model that runs for any lane runs', () => {
    let nowMs = 0;
    const meter = new FeedMeter(() => nowMs);
    const later = (ms: number, lane: string, state: 'run' | 'commit' | 'fetch' | 'message'): void => {
      nowMs += ms;
      meter.enter(lane, state);
    };
    later(10, 'live', 'message');
    later(0, 'bulk', 'fetch');
    later(20, 'bulk', 'run');
    later(30, 'live', 'run');
    later(5, 'bulk', 'commit');
    later(40, 'live', 'message');
    nowMs += 7;
    expect(meter.take()).toEqual({ message: 10, fetch: 20, run: 75, commit: 7 });
    expect(meter.take()).toEqual({ message: 0, fetch: 0, run: 0, commit: 0 });
  });
});

describe('the metrics of a worker', () => {
  it('are a line of embedded metric format for every second in which something happens', () => {
    let nowMs = 0;
    const meter = new FeedMeter(() => nowMs);
    const metrics = new WorkerMetrics(meter, { Pipeline: 'work', Model: 'm', Provider: 'cpu' }, 256);
    const tick = (): Record<string, unknown> | undefined => {
      nowMs += 1000;
      const line = metrics.tick();
      return line === undefined ? undefined : JSON.parse(line);
    };
    meter.enter('bulk', 'run');
    metrics.batch({ lane: 'bulk', images: 64, waitedMs: [100, 300] });
    const line = tick();
    expect(line).toMatchObject({ Model: 'm', Images: 64, BatchFill: 25, QueueWait: 300, FeedRun: 100 });
    const directives = line?.['_aws'] as
      | { CloudWatchMetrics: { Dimensions: string[][]; Metrics: { Name: string }[] }[] }
      | undefined;
    const [directive] = directives?.CloudWatchMetrics ?? [];
    const named = directive?.Metrics ?? [];
    for (const dimension of directive?.Dimensions.flat() ?? [])
      expect(typeof line?.[dimension]).toBe('string');
    expect(directive?.Dimensions).toContainEqual(['Pipeline']);
    expect(named.length * (directive?.Dimensions.length ?? 0)).toBe(DEPLOYED_TERMS.workerMetrics);
    for (const { Name } of named) expect(typeof line?.[Name]).toBe('number');
    meter.enter('bulk', 'message');
    expect(tick()).toMatchObject({ Images: 0, FeedWaitMessage: 100 });
    expect(tick()).toBeUndefined();
    expect(metrics.status()).toMatchObject({ batchFill: 0.25, queueWaitSeconds: 0.3 });
    const { feed } = metrics.status();
    expect(feed.run + feed.message + feed.fetch + feed.commit).toBeCloseTo(1);
  });

  it('tell the longest wait of the live lane, where there was one', () => {
    const metrics = new WorkerMetrics(
      new FeedMeter(() => 0),
      { Pipeline: 'work', Model: 'm', Provider: 'cpu' },
      256,
    );
    metrics.batch({ lane: 'bulk', images: 64, waitedMs: [9000] });
    metrics.tick();
    expect(metrics.status().liveWaitSeconds).toBeUndefined();
    metrics.batch({ lane: 'live', images: 2, waitedMs: [200, 500] });
    metrics.tick();
    expect(metrics.status().liveWaitSeconds).toBe(0.5);
  });
});

describe('the bottleneck', () => {
  const worker = (feed: WorkerStatus['feed']): WorkerStatus => ({
    schema: 1,
    worker: 'w',
    at: new Date(0).toISOString(),
    model: 'm',
    provider: 'cpu',
    imagesPerSecond: 1,
    batchFill: 1,
    queueWaitSeconds: 0,
    feed,
  });

  it('is named in one line', () => {
    expect(bottleneckOf([])).toMatch(/no worker/);
    expect(bottleneckOf([worker({ run: 0.95, message: 0.05, fetch: 0, commit: 0 })])).toMatch(
      /the model.*95 %/,
    );
    expect(bottleneckOf([worker({ run: 0.3, message: 0.6, fetch: 0.1, commit: 0 })])).toMatch(
      /preprocessing.*60 %/,
    );
    expect(bottleneckOf([worker({ run: 0.3, message: 0.1, fetch: 0.6, commit: 0 })])).toMatch(/transport/);
    expect(bottleneckOf([worker({ run: 0.3, message: 0.1, fetch: 0, commit: 0.6 })])).toMatch(/committing/);
  });
});
