import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import type { JsonLog } from '#adapters/json-log.ts';
import { overhead, workIsFor } from '#adapters/meter.ts';
import type { Pipeline } from '#adapters/pipeline.ts';
import { ImageMessage, parseMessage } from '#core/messages.ts';
import { parseS3Event } from '#core/s3-event.ts';
import { plannedStages } from '#core/stages.ts';
import { ingestImage, liveJob } from '../live/ingest-image.ts';
import { inlinePackBytes } from '../preprocessing/pack-announcer.ts';
import type { PackProcesses } from '../preprocessing/pack-processes.ts';
import { wakeFleet } from '../wake-fleet.ts';
import { sqsHandler, type TimedContext } from './sqs-handler.ts';

const MIN_TIME_LEFT_MS = 15_000;
/** Reading one object hides behind decoding another. */
const IMAGES_PER_PROCESS = 2;

/** The `ingest` function: S3 events in, packs of one image on the live lane out. */
export async function ingestHandler(
  pipeline: Pipeline,
  processes: PackProcesses,
  log: JsonLog,
): Promise<(event: SQSEvent, context: TimedContext) => Promise<SQSBatchResponse>> {
  const { works, config } = pipeline;
  const [queue, livePacks] = await overhead('ingest', () =>
    Promise.all([pipeline.queue('events'), pipeline.queue('live')]),
  );
  const { stage } = plannedStages(await pipeline.stages());
  const inlineUpToBytes = inlinePackBytes(config.inlineMessageBytes);
  return sqsHandler<ImageMessage>({
    stage: 'ingest',
    queue,
    log,
    concurrency: processes.concurrency * IMAGES_PER_PROCESS,
    minTimeLeftMs: MIN_TIME_LEFT_MS,
    parse: imagesOf,
    handle: async (image) => {
      workIsFor(liveJob(image.at));
      const [outcome] = await Promise.all([
        ingestImage(
          image,
          { stage, inlineUpToBytes },
          { works, livePacks, openBucket: pipeline.bucket, build: (request) => processes.build(request) },
        ),
        wakeFleet(pipeline, log),
      ]);
      log.info('image', { bucket: image.bucket, key: image.ref.key, outcome });
    },
  });
}

/** The images that a message is about: an S3 event's new objects, or the one that is asked for again. */
function imagesOf(body: string): ImageMessage[] {
  if (isImageMessage(body)) return [parseMessage(ImageMessage, body)];
  return parseS3Event(body).map(({ bucket, key, etag, bytes, eventTime }) => ({
    v: 1,
    type: 'image',
    bucket,
    ref: { key, etag, bytes },
    at: new Date(eventTime).toISOString(),
    remakes: 0,
  }));
}

function isImageMessage(body: string): boolean {
  try {
    return (JSON.parse(body) as { type?: unknown } | null)?.type === 'image';
  } catch {
    return false;
  }
}
