import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  ReceiveMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import type { TimedContext } from '#functions/handlers/sqs-handler.ts';

export interface EventSourceOptions {
  readonly queueUrl: string;
  readonly client: SQSClient;
  readonly handler: (event: SQSEvent, context: TimedContext) => Promise<SQSBatchResponse>;
  /** Messages of one invocation, 10 at the most. */
  readonly batchSize: number;
  /** Invocations at the same time. */
  readonly concurrency: number;
  /** The function's time-out. */
  readonly timeoutMs: number;
  /** What failed comes back after this; Lambda leaves it to the queue's visibility time-out. */
  readonly retryAfterSeconds: number;
}

/**
 * What Lambda's SQS event source does: one invocation for each batch of messages; what the handler does not report as
 * failed is deleted. A handler that throws has failed with all of its batch.
 *
 * Polls until `stop`; invocations that are under way come to their end.
 */
export async function runEventSource(options: EventSourceOptions, stop: AbortSignal): Promise<void> {
  await Promise.all(Array.from({ length: options.concurrency }, () => poll(options, stop)));
}

async function poll(options: EventSourceOptions, stop: AbortSignal): Promise<void> {
  const { client, queueUrl: QueueUrl } = options;
  while (!stop.aborted) {
    const { Messages = [] } = await client
      .send(
        new ReceiveMessageCommand({
          QueueUrl,
          MaxNumberOfMessages: options.batchSize,
          WaitTimeSeconds: 5,
          MessageSystemAttributeNames: ['All'],
          MessageAttributeNames: ['All'],
        }),
        { abortSignal: stop },
      )
      .catch(() => ({ Messages: [] }));
    if (Messages.length === 0) continue;
    const records = Messages.map(
      (message): SQSRecord => ({
        messageId: message.MessageId ?? '',
        receiptHandle: message.ReceiptHandle ?? '',
        body: message.Body ?? '',
        attributes: (message.Attributes ?? {}) as unknown as SQSRecord['attributes'],
        messageAttributes: {},
        md5OfBody: message.MD5OfBody ?? '',
        eventSource: 'aws:sqs',
        eventSourceARN: QueueUrl,
        awsRegion: 'us-east-1',
      }),
    );
    const failed = await invoke(options, records);
    const entries = (some: readonly SQSRecord[]): { Id: string; ReceiptHandle: string }[] =>
      some.map((record, i) => ({ Id: String(i), ReceiptHandle: record.receiptHandle }));
    const done = records.filter((record) => !failed.has(record.messageId));
    const again = records.filter((record) => failed.has(record.messageId));
    // Lambda too may fail to delete: then the message comes twice.
    if (done.length > 0) {
      const command = new DeleteMessageBatchCommand({ QueueUrl, Entries: entries(done) });
      await client.send(command).catch(() => undefined);
    }
    if (again.length > 0) {
      const Entries = entries(again).map((entry) => ({
        ...entry,
        VisibilityTimeout: options.retryAfterSeconds,
      }));
      await client
        .send(new ChangeMessageVisibilityBatchCommand({ QueueUrl, Entries }))
        .catch(() => undefined);
    }
  }
}

async function invoke(
  options: EventSourceOptions,
  records: readonly SQSRecord[],
): Promise<ReadonlySet<string>> {
  const deadline = performance.now() + options.timeoutMs;
  const context = { getRemainingTimeInMillis: () => Math.max(0, deadline - performance.now()) };
  try {
    const { batchItemFailures } = await options.handler({ Records: [...records] }, context);
    return new Set(batchItemFailures.map(({ itemIdentifier }) => itemIdentifier));
  } catch {
    return new Set(records.map((record) => record.messageId));
  }
}
