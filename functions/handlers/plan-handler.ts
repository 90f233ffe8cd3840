import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import type { JsonLog } from '#adapters/json-log.ts';
import { overhead, workIsFor } from '#adapters/meter.ts';
import type { Pipeline } from '#adapters/pipeline.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { brokenKey, completionKey, openKey, requestKey } from '#core/job-layout.ts';
import { JobRequest } from '#core/job-request.ts';
import { PlanMessage, parseMessage } from '#core/messages.ts';
import { ownPlaces } from '#core/own-places.ts';
import { plannedStages } from '#core/stages.ts';
import { readJson, writeJson } from '../json-object.ts';
import { dispatchShards } from '../planning/dispatch-shards.ts';
import { feedWithinBudget } from '../planning/feed-budget.ts';
import { planRequest } from '../planning/planner.ts';
import { submitScheduled } from '../planning/submit-job.ts';
import { wakeFleet } from '../wake-fleet.ts';
import { sqsHandler, type TimedContext } from './sqs-handler.ts';

const MIN_TIME_LEFT_MS = 30_000;
/** A job with a budget is looked at again after this. */
const BUDGET_EVERY_MS = 60_000;

export interface PlanHandlerOptions {
  readonly budgetEveryMs?: number;
}

/** The `plan` function: messages of the queue of jobs. A job whose planning takes longer than one invocation goes on in the next. */
export async function planHandler(
  pipeline: Pipeline,
  log: JsonLog,
  { budgetEveryMs = BUDGET_EVERY_MS }: PlanHandlerOptions = {},
): Promise<(event: SQSEvent, context: TimedContext) => Promise<SQSBatchResponse>> {
  const { works, config } = pipeline;
  const [queue, shards] = await overhead('plan', () =>
    Promise.all([pipeline.queue('jobs'), pipeline.queue('shards')]),
  );
  const stages = plannedStages(await pipeline.stages());

  const plan = async (job: string, timeLeftMs: () => number): Promise<void> => {
    workIsFor(job);
    const request = await readJson(works, requestKey(job), JobRequest);
    if (request === undefined) {
      throw new SluiceError(
        'message-malformed',
        `there is no job "${job}": it was never submitted, or deleted`,
      );
    }
    // A submission that was cut short may have left its mark out; without it the job would never be completed.
    if ((await works.head(completionKey(job))) === undefined) await works.put(openKey(job), Buffer.from(''));
    const { shardSize, packSize } = config;
    const plan = await planRequest(
      request,
      { ...stages, shardSize, packSize, ownPlaces: ownPlaces(config), timeLeftMs },
      { works, openBucket: pipeline.bucket },
    );
    // An instance takes minutes to start, about as long as the first packs take.
    if (plan !== undefined && plan.images > 0) await wakeFleet(pipeline, log);
    if (plan !== undefined && request.budget !== undefined) {
      const { budget } = request;
      const fed = await feedWithinBudget(plan, budget, { works, shards }, { everyMs: budgetEveryMs });
      log.info('fed within its budget', { job, fed, budgetUsd: budget.usd });
      if (fed === 'again') await goOn(job, budgetEveryMs);
      return;
    }
    const done = plan !== undefined && (await dispatchShards(plan, { works, shards, timeLeftMs }));
    log.info(done ? 'planned' : 'planning goes on in another invocation', { job, images: plan?.images });
    if (!done) await goOn(job);
  };
  const goOn = (job: string, delayMs = 0): Promise<void> =>
    queue.send([JSON.stringify({ v: 1, type: 'plan', job } satisfies PlanMessage)], { delayMs });

  return sqsHandler<PlanMessage>({
    stage: 'plan',
    queue,
    log,
    concurrency: 1,
    minTimeLeftMs: MIN_TIME_LEFT_MS,
    parse: (body) => [parseMessage(PlanMessage, body)],
    handle: async (message, timeLeftMs) => {
      const job = message.type === 'plan' ? message.job : await submitScheduled(message, works);
      try {
        await plan(job, timeLeftMs);
      } catch (error) {
        if (!isFinal(error)) throw error;
        // Nothing that comes later can mend it: the job says so itself.
        log.error('a job cannot be planned', { job, reason: messageOf(error) });
        await writeJson(works, brokenKey(job), { reason: messageOf(error), at: new Date().toISOString() });
        await works.delete([openKey(job)]);
      }
    },
  });
}

function isFinal(error: unknown): boolean {
  return (
    error instanceof SluiceError &&
    [
      'service-misconfigured',
      'source-invalid',
      'object-missing',
      'object-forbidden',
      'object-too-large',
    ].includes(error.code)
  );
}
