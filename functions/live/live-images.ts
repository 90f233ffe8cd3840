import { ImageMessage, parseMessage } from '#core/messages.ts';
import { parseS3Event } from '#core/s3-event.ts';
import { eventTime } from './live-job.ts';

/**
 * The images that a message of the queue of events is about: an S3 event's new objects, or the one that is asked for again.
 *
 * @throws SluiceError `message-malformed` for any other message.
 */
export function imagesOf(body: string): ImageMessage[] {
  if (isImageMessage(body)) return [parseMessage(ImageMessage, body)];
  return parseS3Event(body).map(({ bucket, key, etag, bytes, eventTime: told }) => ({
    v: 1,
    type: 'image',
    bucket,
    ref: { key, etag, bytes },
    at: eventTime(told),
    remakes: 0,
  }));
}

/** The same of any message; `undefined` for one that is about no images. */
export function liveImages(body: string): ImageMessage[] | undefined {
  try {
    return imagesOf(body);
  } catch {
    return undefined;
  }
}

function isImageMessage(body: string): boolean {
  try {
    return (JSON.parse(body) as { type?: unknown } | null)?.type === 'image';
  } catch {
    return false;
  }
}
