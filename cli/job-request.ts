import type { RunConfig } from '#core/config.ts';
import type { JobSource } from './job-source.ts';

/** What a user asked for. */
export interface LocalJobRequest {
  readonly source: JobSource;
  readonly out: string;
  readonly config: RunConfig;
  /** Throw away what an earlier run left in the output folder. */
  readonly force: boolean;
}
