/**
 * What a pipeline of infra/ costs by the hour whether it has images or not: test/infra counts it in the synthesized stack,
 * test/workers in what a worker logs. docs/deploy.md has it by the month.
 */
export interface DeployedTerms {
  /** Metrics that alarms look at: each is billed as one alarm. */
  readonly alarmMetrics: number;
  /** Of the workers' own. */
  readonly workerMetrics: number;
  readonly dashboards: number;
  /** Of the functions' event sources. */
  readonly emptyPollsPerHour: number;
  /** Invocations of `finalize` that find nothing to do. */
  readonly finalizationsPerHour: number;
}

/** Lambda has five pollers for an event source that is idle, and SQS answers each of them after 20 s. */
export const POLLS_PER_HOUR_AND_SOURCE = 5 * (3600 / 20);

export const DEPLOYED_TERMS: DeployedTerms = {
  alarmMetrics: 75,
  workerMetrics: 16,
  dashboards: 1,
  /** `plan`, `preprocess`, `ingest`. */
  emptyPollsPerHour: 3 * POLLS_PER_HOUR_AND_SOURCE,
  finalizationsPerHour: 60,
};

/** Seconds of an invocation of `finalize` that finds nothing to do: assumed. */
export const IDLE_FINALIZATION_S = 0.1;
/** It looks for dead letters: how many there are, and one receive, in each of five queues. */
export const IDLE_FINALIZATION_SQS_REQUESTS = 10;
