import type { WorkerStatus } from '#core/worker-status.ts';
import type { BatchFacts } from './batch-inference.ts';
import { FEED_STATES, type FeedMeter, type FeedTimes } from './feed-meter.ts';

interface Second {
  readonly feed: FeedTimes;
  readonly images: number;
  readonly capacity: number;
  readonly waitedMs: readonly number[];
  readonly liveWaitedMs: readonly number[];
  readonly failures: number;
}

/** What the metrics are told apart by. */
export interface MetricDimensions {
  /** The place of its work, without `s3://`: what no two pipelines have in common. */
  readonly Pipeline: string;
  readonly Model: string;
  readonly Provider: string;
}

const KEPT_SECONDS = 60;
const NAMESPACE = 'Sluice';

/**
 * Counts what a worker does, second by second. Each second becomes one line in CloudWatch's embedded metric format,
 * which turns log lines into metrics without a request; source: "Specification: Embedded metric format" in the
 * CloudWatch user guide.
 */
export class WorkerMetrics {
  readonly #meter: FeedMeter;
  readonly #dimensions: MetricDimensions;
  readonly #batchSize: number;
  #seconds: Second[] = [];
  #images = 0;
  #capacity = 0;
  #waitedMs: number[] = [];
  #liveWaitedMs: number[] = [];
  #failures = 0;
  #idle = false;

  constructor(meter: FeedMeter, dimensions: MetricDimensions, batchSize: number) {
    this.#meter = meter;
    this.#dimensions = dimensions;
    this.#batchSize = batchSize;
  }

  batch({ lane, images, waitedMs }: Omit<BatchFacts, 'packs'>): void {
    this.#images += images;
    this.#capacity += Math.max(images, this.#batchSize);
    this.#waitedMs.push(...waitedMs);
    if (lane === 'live') this.#liveWaitedMs.push(...waitedMs);
  }

  failure(): void {
    this.#failures++;
  }

  /** Ends a second. @returns the line of the log for it; nothing for a second like the idle one before it. */
  tick(): string | undefined {
    const second: Second = {
      feed: this.#meter.take(),
      images: this.#images,
      capacity: this.#capacity,
      waitedMs: this.#waitedMs,
      liveWaitedMs: this.#liveWaitedMs,
      failures: this.#failures,
    };
    this.#images = 0;
    this.#capacity = 0;
    this.#waitedMs = [];
    this.#liveWaitedMs = [];
    this.#failures = 0;
    this.#seconds = [...this.#seconds.slice(-(KEPT_SECONDS - 1)), second];
    const idle = second.images === 0 && second.failures === 0 && second.feed.run === 0;
    const silent = idle && this.#idle;
    this.#idle = idle;
    return silent ? undefined : this.#line(second);
  }

  /** The last minute. */
  status(): Pick<
    WorkerStatus,
    'imagesPerSecond' | 'batchFill' | 'queueWaitSeconds' | 'liveWaitSeconds' | 'feed'
  > {
    const sum = (value: (second: Second) => number): number =>
      this.#seconds.reduce((total, second) => total + value(second), 0);
    const images = sum((second) => second.images);
    const ms = sum((second) => FEED_STATES.reduce((total, state) => total + second.feed[state], 0));
    const waited = this.#seconds.flatMap((second) => second.waitedMs).sort((a, b) => a - b);
    const ofLive = this.#seconds.flatMap((second) => second.liveWaitedMs);
    const share = (state: (typeof FEED_STATES)[number]): number =>
      ms === 0 ? 0 : Math.min(1, sum((second) => second.feed[state]) / ms);
    return {
      imagesPerSecond: ms === 0 ? 0 : images / (ms / 1000),
      batchFill: images === 0 ? 0 : images / sum((second) => second.capacity),
      queueWaitSeconds: Math.max(0, (waited[waited.length >> 1] ?? 0) / 1000),
      ...(ofLive.length > 0 && { liveWaitSeconds: Math.max(0, ...ofLive) / 1000 }),
      feed: { run: share('run'), message: share('message'), fetch: share('fetch'), commit: share('commit') },
    };
  }

  #line(second: Second): string {
    const ms = FEED_STATES.reduce((total, state) => total + second.feed[state], 0);
    const percent = (state: (typeof FEED_STATES)[number]): number =>
      ms === 0 ? 0 : (100 * second.feed[state]) / ms;
    const metrics = {
      Images: [second.images, 'Count'],
      BatchFill: [second.capacity === 0 ? undefined : (100 * second.images) / second.capacity, 'Percent'],
      QueueWait: [second.waitedMs.length === 0 ? undefined : Math.max(...second.waitedMs), 'Milliseconds'],
      FailedDeliveries: [second.failures, 'Count'],
      FeedRun: [percent('run'), 'Percent'],
      FeedWaitMessage: [percent('message'), 'Percent'],
      FeedWaitFetch: [percent('fetch'), 'Percent'],
      FeedWaitCommit: [percent('commit'), 'Percent'],
    } as const;
    const present = Object.entries(metrics).filter(([, [value]]) => value !== undefined);
    return `${JSON.stringify({
      _aws: {
        Timestamp: Date.now(),
        CloudWatchMetrics: [
          {
            Namespace: NAMESPACE,
            // By pipeline for its alarms and dashboard, by model and provider to compare them.
            Dimensions: [['Pipeline'], ['Model', 'Provider']],
            Metrics: present.map(([Name, [, Unit]]) => ({ Name, Unit, StorageResolution: 1 })),
          },
        ],
      },
      ...this.#dimensions,
      ...Object.fromEntries(
        present.map(([name, [value]]) => [name, Math.round((value as number) * 100) / 100]),
      ),
    })}\n`;
  }
}
