import PQueue from 'p-queue';
import type { PictureTarget, PreprocessOutcome } from '#adapters/image/preprocess-image.ts';
import { Tally } from '#adapters/meter.ts';
import { recordsOf } from '#adapters/owed-usage.ts';
import type { ImageRef, Region } from '#core/image-ref.ts';
import { packKey } from '#core/job-layout.ts';
import { encodePack } from '#core/pack.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { type Refusal, refusal } from '#core/refusal.ts';
import type { StoreLocation } from '#core/store-location.ts';
import type { MeteredStage, Usage, UsageRecord } from '#core/usage.ts';
import { ByteBudget } from './byte-budget.ts';
import { type ImageResult, type PackTarget, PackTensor } from './pack-tensor.ts';
import { readImage } from './read-image.ts';

/** Some images, to be made into one pack. */
export interface PackRequest extends PackTarget {
  /** Where the refs' keys lie. */
  readonly source: StoreLocation;
  readonly refs: readonly ImageRef[];
  /** Further packs of the same images, each of which takes them in another way: the images are read once for all. */
  readonly also?: readonly PackTarget[];
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
  /** The further packs that were asked for, in their order. */
  readonly also?: readonly BuiltPack[];
  /** Where it was asked for: milliseconds of processor time by the image's place in `refs`. */
  readonly imageCpuMs?: readonly number[];
  /** What it took to make it, with all further packs, as its header says, and what it took to store it. */
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
  /** Decodes one image, or a region of it, into a row `[heightPx, widthPx, 3]` of each pack. @returns an outcome for each. */
  preprocess(
    bytes: Buffer,
    targets: readonly PictureTarget[],
    region?: Region,
  ): Promise<readonly PreprocessOutcome[]>;
}

export interface PackBuilderEvents {
  /** An image is about to be read: if the process dies now, this one may be why. */
  onImageStarted?(index: number): void;
  /** It is decoded, or refused. */
  onImageDone?(index: number): void;
  /** A decoder overran its time and cannot be interrupted from inside. Throw to give up the pack. */
  onDecoderStuck?(index: number): void;
}

/** What became of one image: in one pack as in the other, or in each for itself. */
type Outcome = { readonly ref: ImageRef } & (
  | { readonly ok: false; readonly refusal: Refusal }
  | PreprocessOutcome
);

/**
 * Reads and decodes every image of a request and writes them as one pack, or as several that take them in different ways. A bad
 * image becomes a refusal in the pack; only a broken system (a store that does not answer) throws.
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
  const { refs } = request;
  const tensors = [request, ...(request.also ?? [])].map((target) => new PackTensor(target, refs.length));
  const budget = new ByteBudget(options.maxInFlightBytes);
  const queue = new PQueue({ concurrency: options.imagesInFlight });

  /** By image, then by pack. */
  const results = await queue.addAll(
    refs.map((ref, index) => async (): Promise<ImageResult[]> => {
      const known = request.refused?.[index];
      if (known !== undefined) {
        return tensors.map(() => ({ refused: { index, ref, refusal: known, preprocessMs: 0 } }));
      }
      const release = await budget.take(Math.min(ref.bytes, options.maxImageBytes));
      const startedMs = performance.now();
      try {
        events.onImageStarted?.(index);
        const outcomes = await preprocessRef(ref, index);
        events.onImageDone?.(index);
        const preprocessMs = roundMs(performance.now() - startedMs);
        return outcomes.map(({ ref, ...outcome }) => {
          if (!outcome.ok) return { refused: { index, ref, refusal: outcome.refusal, preprocessMs } };
          const { rowChecksum, ...image } = outcome.image;
          return { item: { index, ref, ...image, preprocessMs }, rowChecksum };
        });
      } finally {
        release();
      }
    }),
  );

  async function preprocessRef(ref: ImageRef, index: number): Promise<Outcome[]> {
    const stored = await tally.run(() => readImage(ports.source, ref, options.maxImageBytes));
    if ('code' in stored) return tensors.map(() => ({ ref, ok: false, refusal: stored }));
    const current: ImageRef = { ...ref, etag: stored.etag, bytes: stored.body.length };
    // A region speaks of the pixels that the stage before saw.
    if (ref.region !== undefined && ref.etag !== stored.etag) {
      const changed = refusal('missing', 'the object has changed since its region was found');
      return tensors.map(() => ({ ref, ok: false, refusal: changed }));
    }
    const targets = tensors.map((tensor) => ({ spec: tensor.target.preprocess, row: tensor.row(index) }));
    const outcomes = await ports.preprocess(stored.body, targets, ref.region);
    for (const outcome of outcomes) {
      if (!outcome.ok && outcome.decoderStuck === true) events.onDecoderStuck?.(index);
    }
    return outcomes.map((outcome) => ({ ref: current, ...outcome }));
  }

  const ofPacks = tensors.map((_, pack) => results.map((ofImage) => ofImage[pack] as ImageResult));
  const counted = ofPacks.map((ofPack) => {
    const refused = ofPack.filter((result) => 'refused' in result).length;
    return { images: ofPack.length - refused, refused };
  });
  const cpu = process.cpuUsage(cpuBefore);
  tally.add({
    ms: { cpu: (cpu.user + cpu.system) / 1000 },
    // An image counts once, whatever number of packs it goes into: so does what it took.
    counts: { ...counted[0], packs: tensors.length },
  });
  const usage = recordsOf(stage, false, tally.take());

  const built: BuiltPack[] = [];
  for (const [pack, tensor] of tensors.entries()) {
    // What they took together is told once.
    const inHeader = pack === 0 ? usage : [];
    const { decoderVersion } = ports;
    const { header, body } = encodePack(
      tensor.finish(ofPacks[pack] as ImageResult[], { decoderVersion, usage: inHeader }),
    );
    const one = { bytes: header.length + body.length, ...(counted[pack] as (typeof counted)[0]) };
    if (one.bytes <= (request.inlineUpToBytes ?? 0)) {
      const inline = Buffer.concat([header, body]);
      built.push({ ...one, inline, usage: { inHeader, after: tally.take() } });
      continue;
    }
    await tally.run(() => ports.works.put(packKey(tensor.target.id), [header, body]));
    built.push({ ...one, usage: { inHeader, after: tally.take() } });
  }
  const [first, ...also] = built as [BuiltPack, ...BuiltPack[]];
  return also.length === 0 ? first : { ...first, also };
}

function roundMs(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
