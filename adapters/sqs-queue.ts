import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  type SendMessageBatchRequestEntry,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import PQueue from 'p-queue';
import { SluiceError } from '#core/error.ts';
import type { Lease, MessageQueue, SendOptions } from '#core/ports/message-queue.ts';
import { sharedAwsClients } from './aws-clients.ts';
import { awsError } from './aws-errors.ts';
import { Batcher, type EntryFailure, MAX_BATCH_ENTRIES, sendBatch } from './sqs-batcher.ts';

export interface SqsQueueOptions {
  readonly client?: SQSClient;
  /** Whether the queue must have a dead-letter queue. Only a dead-letter queue itself goes without. */
  readonly deadLetters?: 'required' | 'none';
  /** In one message, and in one batch: SQS's 1 MiB, or less on another service. */
  readonly maxMessageBytes?: number;
}

/** SQS's limit since August 2025. Source: the SendMessage page of the SQS API reference. */
const MAX_MESSAGE_BYTES = 1024 * 1024;
const MAX_POLL_SECONDS = 20;
const MAX_DELAY_SECONDS = 900;
const BATCHES_IN_FLIGHT = 8;
/** Calls that come this close together share a request. */
const LINGER_MS = 5;
/** Between being told to stop waiting and giving up a poll. */
const PATIENCE_MS = 500;
const REASON = 'sluice.reason';
const MAX_REASON_CHARS = 1000;

interface QueueFacts {
  readonly visibilityMs: number;
  readonly maxDeliveries: number;
  readonly deadLetterUrl: string | undefined;
}

interface Handle {
  readonly receiptHandle: string;
  readonly visibilitySeconds: number;
}

/**
 * A standard SQS queue. Single acknowledgements and extensions that come close together share a request.
 *
 * Permissions: `sqs:GetQueueAttributes`, `sqs:GetQueueUrl`, and to send `sqs:SendMessage`, to receive
 * `sqs:ReceiveMessage`, `sqs:DeleteMessage`, `sqs:ChangeMessageVisibility`.
 *
 * @example
 * const queue = await SqsMessageQueue.open('https://sqs.eu-west-1.amazonaws.com/123456789012/packs');
 * for (const lease of await queue.receive({ maxMessages: 10, waitMs: 20_000 })) await lease.ack();
 */
export class SqsMessageQueue implements MessageQueue {
  readonly sendRequest = 'sqs:SendMessageBatch';
  readonly url: string;
  readonly visibilityMs: number;
  readonly #client: SQSClient;
  readonly #facts: QueueFacts;
  readonly #maxMessageBytes: number;
  readonly #acks: Batcher<string>;
  readonly #extensions: Batcher<Handle>;

  private constructor(url: string, client: SQSClient, facts: QueueFacts, maxMessageBytes: number) {
    this.url = url;
    this.visibilityMs = facts.visibilityMs;
    this.#client = client;
    this.#facts = facts;
    this.#maxMessageBytes = maxMessageBytes;
    this.#acks = new Batcher((handles) => this.#deleteBatch(handles), LINGER_MS);
    this.#extensions = new Batcher((handles) => this.#extendBatch(handles), LINGER_MS);
  }

  /** @throws SluiceError `service-misconfigured` where there is no such queue, or it lacks a dead-letter queue. */
  static async open(url: string, options: SqsQueueOptions = {}): Promise<SqsMessageQueue> {
    const client = options.client ?? sharedAwsClients().sqs;
    const { deadLetters = 'required', maxMessageBytes = MAX_MESSAGE_BYTES } = options;
    const facts = await queueFacts(client, url, deadLetters);
    return new SqsMessageQueue(url, client, facts, maxMessageBytes);
  }

  /** After so many deliveries without an acknowledgement a message goes to the dead letters. */
  get maxDeliveries(): number {
    return this.#facts.maxDeliveries;
  }

  /** Puts a message among the dead letters, with the reason. It is not taken from this queue. */
  async bury(body: string, reason: string): Promise<void> {
    const { deadLetterUrl } = this.#facts;
    if (deadLetterUrl === undefined)
      throw new SluiceError('internal', `${this.url} has no dead-letter queue`);
    const entry = {
      MessageBody: body,
      MessageAttributes: {
        [REASON]: { DataType: 'String', StringValue: attributeText(reason) },
      },
    };
    await sendBatch([entry], (some) => this.#sendEntries(deadLetterUrl, some));
  }

  /** The queue of this queue's dead letters. */
  async deadLetterQueue(): Promise<SqsMessageQueue> {
    const url = this.#facts.deadLetterUrl;
    if (url === undefined) throw new SluiceError('internal', `${this.url} has no dead-letter queue`);
    return SqsMessageQueue.open(url, { client: this.#client, deadLetters: 'none' });
  }

  async send(bodies: readonly string[], options: SendOptions = {}): Promise<void> {
    const delaySeconds = Math.min(MAX_DELAY_SECONDS, Math.ceil((options.delayMs ?? 0) / 1000));
    const batches = batchesOf(bodies.map(sqsText), this.#maxMessageBytes);
    const queue = new PQueue({ concurrency: BATCHES_IN_FLIGHT });
    await queue.addAll(
      batches.map((batch) => async () => {
        options.signal?.throwIfAborted();
        const entries = batch.map((MessageBody) => ({
          MessageBody,
          ...(delaySeconds > 0 && { DelaySeconds: delaySeconds }),
          ...(options.group !== undefined && { MessageGroupId: options.group }),
        }));
        await sendBatch(entries, (some) => this.#sendEntries(this.url, some, options.signal));
      }),
    );
  }

  async receive(options: { maxMessages: number; waitMs: number; signal?: AbortSignal }): Promise<Lease[]> {
    const { signal } = options;
    if (isAborted(signal)) return [];
    // What SQS has just handed out would be lost with the connection until its visibility time-out: a busy queue
    // answers in a moment, and only then is the call given up.
    const patience = new AbortController();
    const giveUp = (): void => void setTimeout(() => patience.abort(), PATIENCE_MS);
    signal?.addEventListener('abort', giveUp, { once: true });
    try {
      const { Messages = [] } = await this.#client.send(
        new ReceiveMessageCommand({
          QueueUrl: this.url,
          MaxNumberOfMessages: Math.min(MAX_BATCH_ENTRIES, options.maxMessages),
          WaitTimeSeconds: Math.min(MAX_POLL_SECONDS, Math.ceil(options.waitMs / 1000)),
          MessageSystemAttributeNames: ['ApproximateReceiveCount', 'SentTimestamp'],
          MessageAttributeNames: [REASON],
        }),
        { abortSignal: patience.signal },
      );
      return Messages.map((message) => this.#leaseOf(message));
    } catch (cause) {
      if (isAborted(signal)) return [];
      throw awsError(cause, { resource: this.url, action: 'sqs:ReceiveMessage' }, 'queue-unavailable');
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
  }

  async depth(options: { signal?: AbortSignal } = {}): Promise<{ waiting: number; leased: number }> {
    const attributes = await attributesOf(this.#client, this.url, DEPTH_ATTRIBUTES, options.signal);
    const count = (name: (typeof DEPTH_ATTRIBUTES)[number]): number => Number(attributes[name] ?? 0);
    return {
      waiting: count('ApproximateNumberOfMessages') + count('ApproximateNumberOfMessagesDelayed'),
      leased: count('ApproximateNumberOfMessagesNotVisible'),
    };
  }

  #leaseOf(message: Message): Lease {
    const receiptHandle = message.ReceiptHandle as string;
    const body = message.Body ?? '';
    const deliveryCount = Number(message.Attributes?.ApproximateReceiveCount ?? 1);
    const reason = message.MessageAttributes?.[REASON]?.StringValue;
    const hide = (ms: number): Promise<void> =>
      this.#extensions.add({ receiptHandle, visibilitySeconds: Math.ceil(ms / 1000) });
    const bury = async (why: string): Promise<void> => {
      await this.bury(body, why);
      await this.#acks.add(receiptHandle);
    };
    return {
      body,
      deliveryCount,
      sentAt: new Date(Number(message.Attributes?.SentTimestamp ?? Date.now())),
      ...(reason !== undefined && { reason }),
      ack: () => this.#acks.add(receiptHandle),
      extend: hide,
      // SQS itself moves a message without a word; on the last delivery the reason is worth a request.
      retry: ({ delayMs = 0, reason: why } = {}) =>
        why !== undefined && deliveryCount >= this.#facts.maxDeliveries ? bury(why) : hide(delayMs),
      bury,
    };
  }

  async #sendEntries(
    url: string,
    entries: readonly Omit<SendMessageBatchRequestEntry, 'Id'>[],
    signal?: AbortSignal,
  ): Promise<Map<number, EntryFailure>> {
    const Entries = entries.map((entry, i) => ({ ...entry, Id: String(i) }));
    return this.#batch('sqs:SendMessage', url, () =>
      this.#client.send(
        new SendMessageBatchCommand({ QueueUrl: url, Entries }),
        signal && { abortSignal: signal },
      ),
    );
  }

  #deleteBatch(handles: readonly string[]): Promise<Map<number, EntryFailure>> {
    const Entries = handles.map((ReceiptHandle, i) => ({ Id: String(i), ReceiptHandle }));
    return this.#batch('sqs:DeleteMessage', this.url, () =>
      this.#client.send(new DeleteMessageBatchCommand({ QueueUrl: this.url, Entries })),
    );
  }

  async #extendBatch(handles: readonly Handle[]): Promise<Map<number, EntryFailure>> {
    const Entries = handles.map(({ receiptHandle, visibilitySeconds }, i) => ({
      Id: String(i),
      ReceiptHandle: receiptHandle,
      VisibilityTimeout: visibilitySeconds,
    }));
    const failures = await this.#batch('sqs:ChangeMessageVisibility', this.url, () =>
      this.#client.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl: this.url, Entries })),
    );
    // A lease that has run out has nothing to extend: another receiver has the message, or had it.
    return new Map([...failures].filter(([, failure]) => failure.retryable));
  }

  async #batch(
    action: string,
    url: string,
    call: () => Promise<{
      Failed?:
        | {
            Id: string | undefined;
            Code: string | undefined;
            SenderFault: boolean | undefined;
            Message?: string | undefined;
          }[]
        | undefined;
    }>,
  ): Promise<Map<number, EntryFailure>> {
    try {
      const { Failed = [] } = await call();
      return new Map(
        Failed.map(({ Id, Code, SenderFault, Message = '' }) => {
          const shape = { name: Code ?? 'unknown error', message: Message };
          const error = awsError(shape, { resource: url, action }, 'queue-unavailable');
          return [Number(Id), { error, retryable: SenderFault !== true }];
        }),
      );
    } catch (cause) {
      throw awsError(cause, { resource: url, action }, 'queue-unavailable');
    }
  }
}

const DEPTH_ATTRIBUTES = [
  'ApproximateNumberOfMessages',
  'ApproximateNumberOfMessagesDelayed',
  'ApproximateNumberOfMessagesNotVisible',
] as const;

async function queueFacts(
  client: SQSClient,
  url: string,
  deadLetters: 'required' | 'none',
): Promise<QueueFacts> {
  const attributes = await attributesOf(client, url, ['VisibilityTimeout', 'RedrivePolicy']);
  const visibilityMs = Number(attributes['VisibilityTimeout'] ?? 30) * 1000;
  const policy = attributes['RedrivePolicy'];
  if (policy === undefined || deadLetters === 'none') {
    if (deadLetters === 'required') {
      throw new SluiceError(
        'service-misconfigured',
        `the queue ${url} has no dead-letter queue, so a message that can never succeed would come back for ever: ` +
          'give it a RedrivePolicy with deadLetterTargetArn and maxReceiveCount',
      );
    }
    return { visibilityMs, maxDeliveries: Number.POSITIVE_INFINITY, deadLetterUrl: undefined };
  }
  const { deadLetterTargetArn, maxReceiveCount } = JSON.parse(policy) as {
    deadLetterTargetArn: string;
    maxReceiveCount: number | string;
  };
  const [, , , , account, name] = deadLetterTargetArn.split(':');
  try {
    const { QueueUrl } = await client.send(
      new GetQueueUrlCommand({ QueueName: name, ...(account && { QueueOwnerAWSAccountId: account }) }),
    );
    return { visibilityMs, maxDeliveries: Number(maxReceiveCount), deadLetterUrl: QueueUrl };
  } catch (cause) {
    throw awsError(cause, { resource: deadLetterTargetArn, action: 'sqs:GetQueueUrl' }, 'queue-unavailable');
  }
}

async function attributesOf(
  client: SQSClient,
  url: string,
  names: readonly ('VisibilityTimeout' | 'RedrivePolicy' | (typeof DEPTH_ATTRIBUTES)[number])[],
  signal?: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  try {
    const { Attributes = {} } = await client.send(
      new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: [...names] }),
      signal && { abortSignal: signal },
    );
    return Attributes as Record<string, string>;
  } catch (cause) {
    signal?.throwIfAborted();
    throw awsError(cause, { resource: url, action: 'sqs:GetQueueAttributes' }, 'queue-unavailable');
  }
}

/** Batches of at most ten bodies that together stay within the limit, in the order given. */
function batchesOf(bodies: readonly string[], maxBytes: number): string[][] {
  const batches: string[][] = [];
  let batch: string[] = [];
  let batchBytes = 0;
  for (const body of bodies) {
    const bytes = Buffer.byteLength(body);
    if (bytes > maxBytes) {
      throw new SluiceError('internal', `a message has ${bytes} bytes, the queue takes ${maxBytes}`);
    }
    if (batch.length === MAX_BATCH_ENTRIES || batchBytes + bytes > maxBytes) {
      batches.push(batch);
      batch = [];
      batchBytes = 0;
    }
    batch.push(body);
    batchBytes += bytes;
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}

/** Asked anew each time: it changes while a call waits. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

/** What SQS takes as an attribute: some text without control characters. */
function attributeText(text: string): string {
  return text.replace(/[\p{Cc}\p{Cs}\uFFFE\uFFFF]/gu, ' ').slice(0, MAX_REASON_CHARS) || 'unknown';
}

/** SQS's text is XML 1.0's, and some services refuse all beyond U+FFFF: in JSON, escapes say the same. */
function sqsText(json: string): string {
  return json.replace(
    /[\uD800-\uDFFF\uFFFE\uFFFF]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
