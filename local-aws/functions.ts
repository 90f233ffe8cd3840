import { setTimeout as sleep } from 'node:timers/promises';
import { createAwsClients } from '#adapters/aws-clients.ts';
import type { JsonLog } from '#adapters/json-log.ts';
import type { Pipeline } from '#adapters/pipeline.ts';
import { finalizeHandler } from '#functions/handlers/finalize-handler.ts';
import { ingestHandler } from '#functions/handlers/ingest-handler.ts';
import { type PlanHandlerOptions, planHandler } from '#functions/handlers/plan-handler.ts';
import { type PreprocessHandlerOptions, preprocessHandler } from '#functions/handlers/preprocess-handler.ts';
import { PackProcesses } from '#functions/preprocessing/pack-processes.ts';
import { runEventSource } from './event-source.ts';

export const FUNCTION_NAMES = ['plan', 'ingest', 'preprocess', 'finalize'] as const;
export type FunctionName = (typeof FUNCTION_NAMES)[number];

export interface LocalFunctionsOptions extends PreprocessHandlerOptions, PlanHandlerOptions {
  readonly only?: readonly FunctionName[];
  /** Invocations of `preprocess` at the same time. */
  readonly preprocessConcurrency: number;
  /** Decoding processes that all functions share. */
  readonly processes: number;
  readonly finalizeEveryMs: number;
  readonly timeoutMs?: number;
  readonly retryAfterSeconds?: number;
  readonly log: JsonLog;
}

/** In the user agent of what polls in Lambda's place. */
export const LAMBDA_POLLER = 'lambda-event-source';
const TIMEOUT_MS = 300_000;

/** Runs the functions of a pipeline in this process, invoked as Lambda would, until `stop`. */
export async function runFunctions(
  pipeline: Pipeline,
  options: LocalFunctionsOptions,
  stop: AbortSignal,
): Promise<void> {
  const { log, only = FUNCTION_NAMES } = options;
  const { config } = pipeline;
  const { limits, preprocess } = config;
  await using processes = new PackProcesses(options.processes, {
    works: pipeline.workLocation,
    limits,
    maxDecodedBytes: preprocess.maxDecodedBytes,
    options: {
      maxImageBytes: limits.maxImageBytes,
      imagesInFlight: preprocess.imagesInFlight,
      maxInFlightBytes: preprocess.maxInFlightBytes,
    },
  });
  const source = {
    // Lambda's polling is its own: a log can tell it from the pipeline's.
    client: createAwsClients({ userAgent: LAMBDA_POLLER }).sqs,
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    retryAfterSeconds: options.retryAfterSeconds ?? 1,
  };
  const running: Promise<void>[] = [];
  if (only.includes('plan')) {
    const handler = await planHandler(pipeline, log, options);
    const queueUrl = config.queues.jobs;
    // As many as in infra/: a job's message may come to both of them.
    running.push(runEventSource({ ...source, queueUrl, handler, batchSize: 1, concurrency: 2 }, stop));
  }
  if (only.includes('ingest')) {
    const handler = await ingestHandler(pipeline, processes, log);
    const queueUrl = config.queues.events;
    running.push(runEventSource({ ...source, queueUrl, handler, batchSize: 10, concurrency: 2 }, stop));
  }
  if (only.includes('preprocess')) {
    const handler = await preprocessHandler(pipeline, processes, log, options);
    const queueUrl = config.queues.shards;
    const concurrency = options.preprocessConcurrency;
    running.push(runEventSource({ ...source, queueUrl, handler, batchSize: 1, concurrency }, stop));
  }
  if (only.includes('finalize')) running.push(finalizeRegularly(pipeline, processes, options, stop));
  await Promise.all(running);
}

async function finalizeRegularly(
  pipeline: Pipeline,
  processes: PackProcesses,
  { log, finalizeEveryMs }: LocalFunctionsOptions,
  stop: AbortSignal,
): Promise<void> {
  const handler = await finalizeHandler(pipeline, processes, log);
  while (!stop.aborted) {
    await handler({}, { getRemainingTimeInMillis: () => TIMEOUT_MS }).catch((error: unknown) =>
      log.error('finalize failed', { reason: String(error) }),
    );
    await sleep(finalizeEveryMs, undefined, { signal: stop }).catch(() => undefined);
  }
}
