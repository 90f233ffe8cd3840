import { z } from 'zod';
import { SluiceError } from './error.ts';

/** One object that appeared in a bucket. */
export interface S3ObjectEvent {
  readonly bucket: string;
  readonly key: string;
  readonly etag: string;
  readonly bytes: number;
  /** ISO 8601. */
  readonly eventTime: string;
}

/** Source: "Event message structure" in the S3 user guide. Unknown members are let be: AWS adds some now and then. */
const Notification = z.object({
  Records: z.array(
    z.object({
      eventName: z.string(),
      eventTime: z.string(),
      s3: z.object({
        bucket: z.object({ name: z.string().min(1) }),
        object: z.object({
          key: z.string().min(1),
          size: z.number().optional(),
          eTag: z.string().optional(),
        }),
      }),
    }),
  ),
});

/** Source: "EventBridge event message structure" in the S3 user guide. */
const BridgeEvent = z.object({
  source: z.literal('aws.s3'),
  'detail-type': z.string(),
  time: z.string(),
  detail: z.object({
    bucket: z.object({ name: z.string().min(1) }),
    object: z.object({ key: z.string().min(1), size: z.number().optional(), etag: z.string().optional() }),
  }),
});

/** What S3 sends when a notification is set up. It has no records. */
const TestEvent = z.object({ Service: z.string(), Event: z.literal('s3:TestEvent') });

/** An SNS topic's envelope around any of these. */
const SnsEnvelope = z.object({ Type: z.literal('Notification'), Message: z.string() });

/**
 * The objects that appeared, from the body of one SQS message: an S3 notification, by itself or through SNS, or an
 * EventBridge event. Test events, removals and changes that make no new object come to nothing.
 *
 * @throws SluiceError `message-malformed` for anything else.
 */
export function parseS3Event(body: string): S3ObjectEvent[] {
  const value = parseJson(body);
  const envelope = SnsEnvelope.safeParse(value);
  if (envelope.success) return parseS3Event(envelope.data.Message);
  if (TestEvent.safeParse(value).success) return [];
  const notification = Notification.safeParse(value);
  if (notification.success) return notification.data.Records.flatMap(created);
  const bridge = BridgeEvent.safeParse(value);
  if (bridge.success) return createdByBridge(bridge.data);
  const shown = body.length > 120 ? `${body.slice(0, 120)}…` : body;
  throw new SluiceError(
    'message-malformed',
    `expected an S3 event (a notification with Records, or EventBridge's "Object Created"), got: ${shown}`,
  );
}

function created(record: z.infer<typeof Notification>['Records'][number]): S3ObjectEvent[] {
  if (!/^(s3:)?ObjectCreated:/.test(record.eventName)) return [];
  const { bucket, object } = record.s3;
  return image(bucket.name, decodeKey(object.key), object.eTag, object.size, record.eventTime);
}

/** In EventBridge events keys are not URL-encoded. */
function createdByBridge({ detail, time, ...event }: z.infer<typeof BridgeEvent>): S3ObjectEvent[] {
  if (event['detail-type'] !== 'Object Created') return [];
  return image(detail.bucket.name, detail.object.key, detail.object.etag, detail.object.size, time);
}

function image(
  bucket: string,
  key: string,
  etag: string | undefined,
  bytes: number | undefined,
  eventTime: string,
): S3ObjectEvent[] {
  // Empty objects that consoles make to show a folder.
  if (key.endsWith('/')) return [];
  return [{ bucket, key, etag: (etag ?? '').replaceAll('"', ''), bytes: bytes ?? 0, eventTime }];
}

/** Keys in notifications are URL-encoded, with "+" for a space. */
function decodeKey(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch (cause) {
    throw new SluiceError('message-malformed', `expected a URL-encoded key, got "${key}"`, { cause });
  }
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
