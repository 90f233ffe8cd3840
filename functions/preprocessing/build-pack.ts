import PQueue from 'p-queue';
import type { PreprocessOutcome } from '#adapters/image/preprocess-image.ts';
import { Tally } from '#adapters/meter.ts';
import { recordsOf } from '#adapters/owed-usage.ts';
import { SluiceError } from '#core/error.ts';
import type { ImageRef, Region } from '#core/image-ref.ts';
import { type PackId, packIdText, packKey } from '#core/job-layout.ts';
import { encodePack, type PackItem, type RefusedItem } from '#core/pack.ts';
import type { ObjectStore, StoredObject } from '#core/ports/object-store.ts';
import type { PreprocessSpec } from '#core/preprocess-spec.ts';
import { type Refusal, refusal } from '#core/refusal.ts';
import type { StoreLocation } from '#core/store-location.ts';
import type { MeteredStage, Usage, UsageRecord } from '#core/usage.ts';
import { ByteBudget } from './byte-budget.ts';

/** Some images, to be made into one pack. */
export interface PackRequest {
  readonly id: PackId;
  /** Where the refs' keys lie. */
  readonly source: StoreLocation;
  readonly refs: readonly ImageRef[];
  readonly preprocess: PreprocessSpec;
  readonly preprocessHash: string;
  /** Images (by their place in `refs`) that are not to be tried again, and what to say of them. */
  readonly refused?: Readonly<Record<number, Refusal>>;
  /** A pack of at most so many bytes is handed back instead of being stored. */
  readonly inlineUpToBytes?: number;
  /** Images one at a time, with the processor time of each. */
  readonly measured?: boolean;
  /** Who pays for it; left out, preprocessing. */
  readonly stage?: MeteredStage;
}

/** What became of the images. */
export interface BuiltPack {
  readonly bytes: number;
  /** The pack itself, where it was small enough; else it lies in the work store. */
  readonly inline?: Uint8Array;
  readonly images: number;
  readonly refused: number;
  /** Where it was asked for: milliseconds of processor time by the image's place in `refs`. */
  readonly imageCpuMs?: readonly number[];
  /** What it took to make it, as its header says, and what it took to store it. */
  readonly usage?: { readonly inHeader: readonly UsageRecord[]; readonly after: Usage };
}

export interface PackBuilderOptions {
  readonly maxImageBytes: number;
  readonly imagesInFlight: number;
  readonly maxInFlightBytes: number;
}

export interface PackBuilderPorts {
  readonly source: ObjectStore;
  readonly works: ObjectStore;
  readonly decoderVersion: string;
  /** Takes what it consumes, also where it fails. */
  readonly tally?: Tally;
  /** Decodes one image, or a region of it, into its row `[heightPx, widthPx, 3]` of the pack. */
  preprocess(
    bytes: Buffer,
    spec: PreprocessSpec,
    row: Uint8Array,
    region?: Region,
  ): Promise<PreprocessOutcome>;
}

export interface PackBuilderEvents {
  /** An image is about to be read: if the process dies now, this one may be why. */
  onImageStarted?(index: number): void;
  /** It is decoded, or refused. */
  onImageDone?(index: number): void;
  /** A decoder overran its time and cannot be interrupted from inside. Throw to give up the pack. */
  onDecoderStuck?(index: number): void;
}

type ImageResult = { item: Omit<PackItem, 'preprocessMs'> } | { refused: Omit<RefusedItem, 'preprocessMs'> };

/**
 * Reads and decodes every image of a request and writes them as one pack. A bad image becomes a refusal in the
 * pack; only a broken system (a store that does not answer) throws.
 */
export async function buildPack(
  request: PackRequest,
  options: PackBuilderOptions,
  ports: PackBuilderPorts,
  events: PackBuilderEvents = {},
): Promise<BuiltPack> {
  const stage = request.stage ?? 'preprocess';
  const tally = ports.tally ?? new Tally(stage);
  const cpuBefore = process.cpuUsage();
  const { id, refs, preprocess } = request;
  const rowBytes = preprocess.widthPx * preprocess.heightPx * 3;
  const tensor = Buffer.allocUnsafeSlow(refs.length * rowBytes);
  const budget = new ByteBudget(options.maxInFlightBytes);
  const queue = new PQueue({ concurrency: options.imagesInFlight });

  const results = await queue.addAll(
    refs.map((ref, index) => async (): Promise<ImageResult & { preprocessMs: number }> => {
      const known = request.refused?.[index];
      if (known !== undefined) return { refused: { index, ref, refusal: known }, preprocessMs: 0 };
      const release = await budget.take(Math.min(ref.bytes, options.maxImageBytes));
      const startedMs = performance.now();
      try {
        events.onImageStarted?.(index);
        const row = tensor.subarray(index * rowBytes, (index + 1) * rowBytes);
        const result = await preprocessRef(ref, index, row);
        events.onImageDone?.(index);
        return { ...result, preprocessMs: roundMs(performance.now() - startedMs) };
      } finally {
        release();
      }
    }),
  );

  async function preprocessRef(ref: ImageRef, index: number, row: Uint8Array): Promise<ImageResult> {
    const stored = await tally.run(() => getOrRefuse(ports.source, ref, options.maxImageBytes));
    if ('code' in stored) return { refused: { index, ref, refusal: stored } };
    const current: ImageRef = { ...ref, etag: stored.etag, bytes: stored.body.length };
    // A region speaks of the pixels that the stage before saw.
    if (ref.region !== undefined && ref.etag !== stored.etag)
      return {
        refused: {
          index,
          ref,
          refusal: refusal('missing', 'the object has changed since its region was found'),
        },
      };
    const outcome = await ports.preprocess(stored.body, preprocess, row, ref.region);
    if (outcome.ok) return { item: { index, ref: current, ...outcome.image } };
    if (outcome.decoderStuck === true) events.onDecoderStuck?.(index);
    return { refused: { index, ref: current, refusal: outcome.refusal } };
  }

  const items: PackItem[] = [];
  const refused: RefusedItem[] = [];
  for (const [index, { preprocessMs, ...result }] of results.entries()) {
    if ('refused' in result) {
      refused.push({ ...result.refused, preprocessMs });
      continue;
    }
    // Rows of refused images leave holes: close them, so that the tensor is dense.
    const row = items.length;
    if (row !== index) tensor.copyWithin(row * rowBytes, index * rowBytes, (index + 1) * rowBytes);
    items.push({ ...result.item, preprocessMs });
  }
  const cpu = process.cpuUsage(cpuBefore);
  tally.add({
    ms: { cpu: (cpu.user + cpu.system) / 1000 },
    counts: { packs: 1, images: items.length, refused: refused.length },
  });
  const usage = recordsOf(stage, false, tally.take());
  const { header, body } = encodePack({
    header: {
      schema: 1,
      pack: packIdText(id),
      preprocessHash: request.preprocessHash,
      decoderVersion: ports.decoderVersion,
      items,
      refused,
      usage,
    },
    heightPx: preprocess.heightPx,
    widthPx: preprocess.widthPx,
    images: tensor.subarray(0, items.length * rowBytes),
  });
  const built = { bytes: header.length + body.length, images: items.length, refused: refused.length };
  if (built.bytes <= (request.inlineUpToBytes ?? 0)) {
    const inline = Buffer.concat([header, body]);
    return { ...built, inline, usage: { inHeader: usage, after: tally.take() } };
  }
  await tally.run(() => ports.works.put(packKey(id), [header, body]));
  return { ...built, usage: { inHeader: usage, after: tally.take() } };
}

async function getOrRefuse(
  source: ObjectStore,
  ref: ImageRef,
  maxBytes: number,
): Promise<StoredObject | Refusal> {
  try {
    return await source.get(ref.key, { maxBytes });
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    switch (error.code) {
      case 'object-missing':
        return refusal('missing', 'there is no such object (any more)');
      case 'object-forbidden':
        // In the store's own words: they name the permission that is missing.
        return refusal('forbidden', error.message);
      case 'object-too-large':
        return refusal('too-many-bytes', `more than ${maxBytes} bytes`);
      default:
        throw error;
    }
  }
}

function roundMs(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
