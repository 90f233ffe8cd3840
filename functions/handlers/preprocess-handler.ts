import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import type { JsonLog } from '#adapters/json-log.ts';
import { overhead, workIsFor } from '#adapters/meter.ts';
import type { Pipeline } from '#adapters/pipeline.ts';
import { SluiceError } from '#core/error.ts';
import { parseMessage, ShardsMessage } from '#core/messages.ts';
import type { Plan } from '#core/plan.ts';
import { readPlan } from '../planning/read-plan.ts';
import { Backlog, delayWhileStoppedMs } from '../preprocessing/backlog.ts';
import type { PackProcesses } from '../preprocessing/pack-processes.ts';
import { preprocessShard } from '../preprocessing/preprocess-shard.ts';
import { sqsHandler, type TimedContext } from './sqs-handler.ts';

const MIN_TIME_LEFT_MS = 20_000;
/** A plan of ten million images has a megabyte; an environment on Lambda may live for hours. */
const MAX_PLANS_KEPT = 16;
/** A shard that was handed back because workers lag behind comes again after this. */
const HANDED_BACK_DELAY_MS = 20_000;

export interface PreprocessHandlerOptions {
  readonly handedBackDelayMs?: number;
}

/** The `preprocess` function: shards and follow-ups in, packs on the bulk lane out. */
export async function preprocessHandler(
  pipeline: Pipeline,
  processes: PackProcesses,
  log: JsonLog,
  options: PreprocessHandlerOptions = {},
): Promise<(event: SQSEvent, context: TimedContext) => Promise<SQSBatchResponse>> {
  const { works, config } = pipeline;
  const [queue, packs] = await overhead('preprocess', () =>
    Promise.all([pipeline.queue('shards'), pipeline.queue('bulk')]),
  );
  // Invocations do not know of one another: each leaves room for what all of them have in hand.
  const margin = config.preprocess.concurrency * processes.concurrency;
  const backlog = new Backlog(packs, Math.max(1, config.maxBacklogPacks - margin));
  const plans = new Map<string, Plan>();
  const planOf = async (job: string): Promise<Plan> => {
    const plan = plans.get(job) ?? (await readPlan(job, works));
    if (plan === undefined) throw new SluiceError('object-missing', `job "${job}" has no plan`);
    if (plans.size >= MAX_PLANS_KEPT) plans.clear();
    plans.set(job, plan);
    return plan;
  };

  const handBack = async (message: ShardsMessage, ranges?: readonly number[]): Promise<void> => {
    const { handedBack = 0, ...work } = message;
    const first = options.handedBackDelayMs ?? HANDED_BACK_DELAY_MS;
    const isStopped = backlog.wasFull && backlog.isStopped;
    const delayMs = isStopped ? delayWhileStoppedMs(handedBack, first) : backlog.wasFull ? first : 0;
    // A fresh message, so that being handed back never counts as a failed delivery.
    const rest: ShardsMessage = {
      ...work,
      ...(ranges && { ranges: [...ranges] }),
      ...(isStopped && { handedBack: handedBack + 1 }),
    };
    await queue.send([JSON.stringify(rest)], { delayMs, group: message.job });
  };

  return sqsHandler<ShardsMessage>({
    stage: 'preprocess',
    queue,
    log,
    concurrency: 1,
    minTimeLeftMs: MIN_TIME_LEFT_MS,
    parse: (body) => [parseMessage(ShardsMessage, body)],
    handle: async (message, timeLeftMs) => {
      workIsFor(message.job);
      // Before anything is read: a shard that comes for nothing must cost no more than its message.
      if (!(await backlog.hasRoom())) {
        await handBack(message);
        log.info('shard', { job: message.job, shard: message.shard, handedBack: message.handedBack ?? 0 });
        return;
      }
      const plan = await planOf(message.job);
      if (plan.bucket === null) throw new SluiceError('message-malformed', `job "${plan.job}" is not on S3`);
      const startedMs = performance.now();
      let images = 0;
      const { left } = await preprocessShard(
        message,
        plan,
        {
          works,
          packs,
          build: (request) => processes.build(request),
          concurrency: processes.concurrency,
          reserve: () => backlog.reserve(),
          onPack: (built) => {
            images += built.images + built.refused;
          },
        },
        { source: { kind: 's3', bucket: plan.bucket, prefix: '' }, timeLeftMs },
      );
      const seconds = (performance.now() - startedMs) / 1000;
      const { shard } = message;
      const of = message.type === 'shard' ? {} : { stage: message.stage, parent: message.parent.name };
      log.info('shard', { job: plan.job, shard, ...of, left: left.length, images, seconds });
      if (left.length > 0) await handBack(message, left);
    },
  });
}
