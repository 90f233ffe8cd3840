import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import PQueue from 'p-queue';
import type { JsonLog } from '#adapters/json-log.ts';
import { inCallersTally, invocation, Tally, untoldUsage } from '#adapters/meter.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { addUsage, type MeteredStage, noUsage } from '#core/usage.ts';

/** Of Lambda's context, what handlers use. */
export interface TimedContext {
  getRemainingTimeInMillis(): number;
}

export interface SqsHandlerOptions<T> {
  /** The items of one message; none is fine. @throws SluiceError `message-malformed`. */
  parse(body: string): readonly T[];
  /** Does the work of one item. @param timeLeftMs milliseconds until the invocation is killed. */
  handle(item: T, timeLeftMs: () => number): Promise<void>;
  /** Messages that are handled at the same time. */
  readonly concurrency: number;
  /** A message is not begun with less time than this. */
  readonly minTimeLeftMs: number;
  /** The queue that the messages come from: where its dead letters go, and after how many deliveries. */
  readonly queue: { readonly maxDeliveries: number; bury(body: string, reason: string): Promise<void> };
  readonly log: JsonLog;
  /** Who pays. */
  readonly stage: MeteredStage;
}

/**
 * A Lambda handler for messages of an SQS queue with `ReportBatchItemFailures`: what succeeded is not done again
 * because of what failed beside it.
 *
 * A malformed message goes to the dead letters at once, with the reason, and so does any other on its last delivery.
 * When time runs short, messages that are not begun are handed back.
 */
export function sqsHandler<T>(
  options: SqsHandlerOptions<T>,
): (event: SQSEvent, context: TimedContext) => Promise<SQSBatchResponse> {
  const { queue, log } = options;
  const handle = async ({ Records }: SQSEvent, context: TimedContext): Promise<SQSBatchResponse> => {
    const timeLeftMs = (): number => context.getRemainingTimeInMillis();
    const failed = new Set<string>();
    const work = new PQueue({ concurrency: options.concurrency });
    const one = async (record: SQSRecord): Promise<void> => {
      if (timeLeftMs() < options.minTimeLeftMs) {
        failed.add(record.messageId);
        return;
      }
      const tally = new Tally(options.stage);
      try {
        const items = options.parse(record.body);
        await tally.run(async () => {
          for (const item of items) await options.handle(item, timeLeftMs);
        });
        tally.stored();
      } catch (error) {
        tally.wasted();
        const reason = messageOf(error);
        const malformed = error instanceof SluiceError && error.code === 'message-malformed';
        const deliveries = Number(record.attributes.ApproximateReceiveCount);
        log.warn('a message failed', { reason, deliveries, messageId: record.messageId });
        if (malformed || deliveries >= queue.maxDeliveries) {
          // Should that fail too, the queue moves the message itself, only without the reason.
          await queue.bury(record.body, reason).catch(() => failed.add(record.messageId));
        } else {
          failed.add(record.messageId);
        }
      }
    };
    await work.addAll(Records.map((record) => inCallersTally(() => one(record))));
    return { batchItemFailures: [...failed].map((itemIdentifier) => ({ itemIdentifier })) };
  };
  return async (event, context) => {
    const outcome = await invocation(options.stage, () => handle(event, context));
    const untold = noUsage();
    for (const { usage } of untoldUsage()) addUsage(untold, usage);
    // The next invocation of this process tells it. Where there is none, nothing but this line does.
    const { requests } = untold;
    if (Object.keys(requests).length > 0) log.info('sent, and told by no record yet', { requests });
    return outcome;
  };
}
