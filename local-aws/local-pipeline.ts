import { PipelineConfig } from '#core/pipeline-config.ts';
import type { LocalAws } from './server.ts';

export interface LocalPipelineOptions {
  /** Goes before the names of buckets and queues. */
  readonly name: string;
  readonly visibilitySeconds?: number;
  /**
   * Of the queues that functions read, instead. Unlike a worker's leases nobody extends what a function has in hand, so Lambda
   * refuses a queue whose visibility time-out is shorter than its function's time-out.
   */
  readonly functionVisibilitySeconds?: number;
  readonly maxDeliveries?: number;
  /** Anything of the pipeline's configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** Makes the buckets and queues of a pipeline, and its configuration. Images lie in the bucket `<name>-images`. */
export async function createPipeline(
  aws: LocalAws,
  options: LocalPipelineOptions,
): Promise<{ config: PipelineConfig; images: string }> {
  const { name, visibilitySeconds = 60, maxDeliveries = 5 } = options;
  const images = `${name}-images`;
  aws.createBucket(images);
  aws.createBucket(`${name}-work`);
  const { functionVisibilitySeconds = visibilitySeconds } = options;
  const queue = (what: string, seconds = visibilitySeconds): Promise<string> =>
    aws.createQueue(`${name}-${what}`, { visibilitySeconds: seconds, maxDeliveries });
  const queues = {
    jobs: await queue('jobs', functionVisibilitySeconds),
    shards: await queue('shards', functionVisibilitySeconds),
    events: await queue('events', functionVisibilitySeconds),
    live: await queue('live'),
    bulk: await queue('bulk'),
    verdicts: await queue('verdicts'),
  };
  const config = PipelineConfig.parse({ work: `s3://${name}-work/`, queues, ...options.config });
  return { config, images };
}
