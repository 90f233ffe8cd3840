import { z } from 'zod';
import { messageOf, SluiceError } from './error.ts';
import { decodeS3Key, isFolderMarker } from './s3-key.ts';

/** "This object was created or overwritten." */
export interface S3ObjectEvent {
  readonly bucket: string;
  /** As the object is called, no longer URL-encoded. */
  readonly key: string;
  /** Without quotation marks. Empty where the event does not tell. */
  readonly etag: string;
  /** Size in bytes; 0 where the event does not tell. */
  readonly bytes: number;
  /** Hexadecimal; orders the events of one key, and only those. Empty where the event does not tell. */
  readonly sequencer: string;
  /** ISO 8601. Empty where the event does not tell. */
  readonly eventTime: string;
}

// Unknown fields are let through everywhere: S3 adds fields within a version, and asks readers to ignore them.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
const Bucket = z.object({ name: z.string().min(1) });
const ObjectFields = {
  key: z.string().min(1),
  size: z.int().min(0).default(0),
  sequencer: z.string().default(''),
};

const Notification = z.object({
  Records: z.array(z.looseObject({ eventName: z.string(), s3: z.looseObject({}) })),
});
const CreatedRecord = z.object({
  eventTime: z.string().default(''),
  s3: z.object({
    bucket: Bucket,
    object: z.object({ ...ObjectFields, eTag: z.string().default('') }),
  }),
});

// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
const TestEvent = z.object({ Event: z.literal('s3:TestEvent') });

// Source: https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
const SnsEnvelope = z.object({ Type: z.literal('Notification'), Message: z.string() });

// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
const BridgeEvent = z.object({
  source: z.literal('aws.s3'),
  'detail-type': z.string().startsWith('Object '),
});
const BridgeCreated = z.object({
  time: z.string().default(''),
  detail: z.object({
    bucket: Bucket,
    object: z.object({ ...ObjectFields, etag: z.string().default('') }),
  }),
});

/**
 * The objects that one message says were created: an S3 notification, plain or in an SNS envelope, or an event of
 * EventBridge. Removals, tags, restores and every other kind of S3 event name none, neither does the test message
 * that S3 sends when notifications are set up, nor do folder markers (empty objects whose key ends in "/").
 *
 * S3 delivers at least once and in no order: compare etags, or the sequencers of one key.
 *
 * @example
 * for (const { key, etag, bytes } of parseS3Event(message.body)) refs.push({ key, etag, bytes });
 *
 * @throws SluiceError `message-malformed`, never retryable, for any other message.
 */
export function parseS3Event(body: string): S3ObjectEvent[] {
  const message = parseJson(body);
  const envelope = SnsEnvelope.safeParse(message);
  const events = eventsOf(envelope.success ? parseJson(envelope.data.Message) : message);
  return events.filter((event) => !isFolderMarker(event.key, event.bytes));
}

function eventsOf(message: unknown): S3ObjectEvent[] {
  const notification = Notification.safeParse(message);
  if (notification.success) {
    return notification.data.Records.filter(({ eventName }) => isCreation(eventName)).map(fromRecord);
  }
  if (TestEvent.safeParse(message).success) return [];
  const bridge = BridgeEvent.safeParse(message);
  if (bridge.success) return bridge.data['detail-type'] === 'Object Created' ? [fromBridge(message)] : [];
  throw malformed(shapeOf(message));
}

/** New kinds of events may appear at any time; all that S3 calls a creation begins so. MinIO prefixes "s3:". */
function isCreation(eventName: string): boolean {
  return eventName.startsWith('ObjectCreated:') || eventName.startsWith('s3:ObjectCreated:');
}

function fromRecord(record: unknown): S3ObjectEvent {
  const { eventTime, s3 } = valid(CreatedRecord, record, 'an ObjectCreated record');
  const { key, size, eTag, sequencer } = s3.object;
  return {
    bucket: s3.bucket.name,
    key: decodedKey(key),
    etag: unquoted(eTag),
    bytes: size,
    sequencer,
    eventTime,
  };
}

/** Here the key stands as it is: the form encoding belongs to the notifications to SQS, SNS and Lambda. */
function fromBridge(message: unknown): S3ObjectEvent {
  const { time, detail } = valid(BridgeCreated, message, 'an "Object Created" event');
  const { key, size, etag, sequencer } = detail.object;
  return { bucket: detail.bucket.name, key, etag: unquoted(etag), bytes: size, sequencer, eventTime: time };
}

function decodedKey(encoded: string): string {
  try {
    return decodeS3Key(encoded);
  } catch (cause) {
    throw malformed(`the key "${encoded}", which is not URL-encoded`, cause);
  }
}

/** Some S3-compatible services keep the quotation marks of the HTTP header. */
function unquoted(etag: string): string {
  return etag.replaceAll('"', '');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw malformed(`text that is not JSON (${messageOf(cause)})`, cause);
  }
}

function valid<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  throw malformed(`${what} with ${problems}`, parsed.error);
}

function shapeOf(message: unknown): string {
  if (typeof message !== 'object' || message === null || Array.isArray(message)) {
    return Array.isArray(message) ? 'a list' : `the value ${String(message).slice(0, 60)}`;
  }
  const names = Object.keys(message);
  const shown = names.slice(0, 8).map((name) => name.slice(0, 40));
  return names.length === 0
    ? 'an empty object'
    : `an object with ${shown.join(', ')}${names.length > 8 ? ', …' : ''}`;
}

function malformed(came: string, cause?: unknown): SluiceError {
  return new SluiceError(
    'message-malformed',
    'expected an S3 event notification (plain, in an SNS envelope, or from EventBridge), ' +
      `got ${came}: send nothing but S3 events to this queue`,
    { cause },
  );
}
