import { z } from 'zod';
import { UsageRecord } from './usage.ts';

const Share = z.number().min(0).max(1);

/** What a worker says of itself every now and then, in the work store; old ones are of workers that are gone. */
export const WorkerStatus = z.strictObject({
  schema: z.literal(1),
  worker: z.string(),
  at: z.iso.datetime(),
  model: z.string(),
  provider: z.string(),
  /** Of the last minute: */
  imagesPerSecond: z.number().min(0),
  /** Images in a batch, of those that fit. */
  batchFill: Share,
  /** Median seconds between a pack's announcement and its run. */
  queueWaitSeconds: z.number().min(0),
  /** The longest of those of the live lane; left out where none of its packs was run. */
  liveWaitSeconds: z.number().min(0).optional(),
  /** What the model's time went into; together 1. See FeedMeter. */
  feed: z.strictObject({ run: Share, message: Share, fetch: Share, commit: Share }),
  /** What it has consumed and no part tells. */
  untold: z.array(UsageRecord).optional(),
  /** It has stopped, and this is the last that it says. */
  stopped: z.literal(true).optional(),
});
export type WorkerStatus = z.infer<typeof WorkerStatus>;

/** Above this share of time spent running, nothing but the model itself holds a worker back. */
const FED = 0.85;

const CAUSES = {
  message: 'preprocessing: workers wait for packs',
  fetch: 'the transport: workers wait for packs to be fetched',
  commit: 'committing: workers wait for results to be stored',
} as const;

/** What holds the pipeline back, in one line. */
export function bottleneckOf(workers: readonly WorkerStatus[]): string {
  if (workers.length === 0) return 'no worker is running';
  const mean = (state: keyof WorkerStatus['feed']): number =>
    workers.reduce((sum, worker) => sum + worker.feed[state], 0) / workers.length;
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  const fed = mean('run');
  if (fed >= FED) return `the model: it runs ${percent(fed)} of the time`;
  const [cause] = (Object.keys(CAUSES) as (keyof typeof CAUSES)[]).sort((a, b) => mean(b) - mean(a));
  const name = cause as keyof typeof CAUSES;
  return `${CAUSES[name]} ${percent(mean(name))} of the time; the model runs ${percent(fed)}`;
}
