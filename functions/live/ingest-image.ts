import { type Tally, tallied } from '#adapters/meter.ts';
import { sha256Hex } from '#core/canonical-json.ts';
import { sqsRequestsOf } from '#core/cost/bill.ts';
import { type PackId, partKey } from '#core/job-layout.ts';
import type { ImageMessage } from '#core/messages.ts';
import type { PlannedStage } from '#core/plan.ts';
import type { MessageQueue } from '#core/ports/message-queue.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { BuiltPack, PackRequest } from '../preprocessing/build-pack.ts';
import { announcePack, inlineBytes, storedPack } from '../preprocessing/pack-announcer.ts';
import { liveJob } from './live-job.ts';

export interface IngestPorts {
  readonly works: ObjectStore;
  readonly livePacks: MessageQueue;
  openBucket(bucket: string): ObjectStore;
  build(request: PackRequest): Promise<BuiltPack>;
}

export interface IngestOptions {
  readonly stage: PlannedStage;
  readonly inlineUpToBytes: number;
}

/**
 * Makes a pack of one image and announces it on the live lane. The pack's name follows from the object as it is now:
 * a second delivery of its event, or a late one, comes to the same pack and the same part.
 *
 * @returns `known` where the image has its part already.
 */
export async function ingestImage(
  image: ImageMessage,
  { stage, inlineUpToBytes }: IngestOptions,
  ports: IngestPorts,
): Promise<'announced' | 'known'> {
  return tallied('ingest', (tally) => ingest(image, { stage, inlineUpToBytes }, ports, tally));
}

async function ingest(
  image: ImageMessage,
  { stage, inlineUpToBytes }: IngestOptions,
  ports: IngestPorts,
  tally: Tally,
): Promise<'announced' | 'known'> {
  const { bucket } = image;
  const now = await ports.openBucket(bucket).head(image.ref.key);
  // An object that is gone by now has a row all the same, which says so.
  const ref = now === undefined ? image.ref : { key: now.key, etag: now.etag, bytes: now.bytes };
  const id: PackId = { job: liveJob(image.at), stage: stage.name, name: eventName(bucket, ref) };
  if ((await ports.works.head(partKey(id))) !== undefined) return 'known';
  const remade = image.remakes > 0;
  const stored = remade ? undefined : await storedPack(id, ports.works);
  const built =
    stored ??
    (await ports.build({
      stage: 'ingest',
      id,
      source: { kind: 's3', bucket, prefix: '' },
      refs: [ref],
      preprocess: stage.preprocess,
      preprocessHash: stage.preprocessHash,
      inlineUpToBytes,
    }));
  const origin = { lane: 'live', image: { ...image, ref } } as const;
  if (built.usage !== undefined) tally.add(built.usage.after);
  const waste = remade || stored !== undefined;
  const usage = tally.seal({
    waste,
    carried: built.usage?.inHeader ?? [],
    storedBy: ports.livePacks.sendRequest,
    units: sqsRequestsOf(inlineBytes(built)),
  });
  await announcePack(id, stage, origin, built, ports.livePacks, usage);
  tally.stored();
  return 'announced';
}

function eventName(bucket: string, ref: { key: string; etag: string }): string {
  return sha256Hex(`${bucket}\0${ref.key}\0${ref.etag}`).slice(0, 32);
}
