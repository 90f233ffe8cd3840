import { decoderVersion, preprocessImage, thumbnailOf } from '#adapters/image/preprocess-image.ts';
import { openStore } from '#adapters/open-store.ts';
import { serveTasks } from '#adapters/task-process.ts';
import { messageOf, SluiceError, type SluiceErrorCode } from '#core/error.ts';
import type { ImageLimits } from '#core/limits.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { StoreLocation } from '#core/store-location.ts';
import { type BuiltPack, buildPack, type PackBuilderOptions, type PackRequest } from './build-pack.ts';

/** What a decoding process needs to know before its first task. */
export interface PackProcessSetup {
  readonly works: StoreLocation;
  readonly limits: ImageLimits;
  readonly options: PackBuilderOptions;
}

export type PackProcessTask =
  | { kind: 'pack'; request: PackRequest; announceImages: boolean }
  | { kind: 'thumbnail'; source: StoreLocation; key: string; maxSidePx: number };

/** "This image is next": sent where the parent wants to know which image a process dies on. */
export interface PackProcessEvent {
  readonly startedImage: number;
}

export type PackProcessResult =
  /** `tainted`: a native decoder still runs on in this process; kill it. */
  | { kind: 'built'; pack: BuiltPack; tainted: boolean }
  | { kind: 'stuck'; images: number[] }
  | { kind: 'thumbnail'; jpeg: Uint8Array | null; tainted: boolean }
  | { kind: 'failed'; code: SluiceErrorCode; message: string; retryable: boolean };

/** With this many decoders stuck the rest of the pack would crawl: better to start again without those images. */
const MAX_STUCK = 2;

class TooManyStuck extends Error {}

serveTasks<PackProcessSetup, PackProcessTask, PackProcessEvent, PackProcessResult>((setup) => {
  const opening = openStore(setup.works);
  return async (task, emit) => {
    try {
      const works = await opening;
      return task.kind === 'pack'
        ? await pack(task, setup, { source: await openStore(task.request.source), works }, emit)
        : await thumbnail(task, setup, await openStore(task.source));
    } catch (error) {
      const known =
        error instanceof SluiceError
          ? error
          : new SluiceError('internal', messageOf(error), { cause: error });
      return { kind: 'failed', code: known.code, message: known.message, retryable: known.retryable };
    }
  };
});

async function pack(
  task: PackProcessTask & { kind: 'pack' },
  setup: PackProcessSetup,
  stores: { source: ObjectStore; works: ObjectStore },
  emit: (event: PackProcessEvent) => void,
): Promise<PackProcessResult> {
  const stuck: number[] = [];
  const options = task.announceImages ? { ...setup.options, imagesInFlight: 1 } : setup.options;
  try {
    const built = await buildPack(
      task.request,
      options,
      {
        ...stores,
        decoderVersion: decoderVersion(),
        preprocess: (bytes, spec, row, region) => preprocessImage(bytes, spec, setup.limits, row, region),
      },
      {
        onImageStarted: (index) => {
          if (task.announceImages) emit({ startedImage: index });
        },
        onDecoderStuck: (index) => {
          stuck.push(index);
          if (stuck.length >= MAX_STUCK) throw new TooManyStuck();
        },
      },
    );
    return { kind: 'built', pack: built, tainted: stuck.length > 0 };
  } catch (error) {
    if (error instanceof TooManyStuck) return { kind: 'stuck', images: stuck };
    throw error;
  }
}

async function thumbnail(
  task: PackProcessTask & { kind: 'thumbnail' },
  setup: PackProcessSetup,
  source: ObjectStore,
): Promise<PackProcessResult> {
  const { body } = await source.get(task.key, { maxBytes: setup.limits.maxImageBytes });
  const outcome = await thumbnailOf(body, setup.limits, task.maxSidePx);
  if (outcome.ok) return { kind: 'thumbnail', jpeg: outcome.jpeg, tainted: false };
  return { kind: 'thumbnail', jpeg: null, tainted: outcome.refusal.code === 'timed-out' };
}
