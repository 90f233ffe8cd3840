import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import type { JsonLog } from '#adapters/json-log.ts';
import { overhead, workIsFor } from '#adapters/meter.ts';
import type { Pipeline } from '#adapters/pipeline.ts';
import type { ImageMessage } from '#core/messages.ts';
import { plannedStages } from '#core/stages.ts';
import { ingestImage } from '../live/ingest-image.ts';
import { imagesOf } from '../live/live-images.ts';
import { liveJob } from '../live/live-job.ts';
import { wantedImage } from '../live/wanted-image.ts';
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
  const isWanted = wantedImage(config);
  return sqsHandler<ImageMessage>({
    stage: 'ingest',
    queue,
    log,
    concurrency: processes.concurrency * IMAGES_PER_PROCESS,
    minTimeLeftMs: MIN_TIME_LEFT_MS,
    parse: (body) => imagesOf(body).filter(isWanted),
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
