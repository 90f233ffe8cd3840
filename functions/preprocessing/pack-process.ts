import { decoderVersion, preprocessImage, thumbnailOf } from '#adapters/image/preprocess-image.ts';
import { Tally } from '#adapters/meter.ts';
import { openStore } from '#adapters/open-store.ts';
import { serveTasks } from '#adapters/task-process.ts';
import { messageOf, SluiceError, type SluiceErrorCode } from '#core/error.ts';
import type { ImageLimits } from '#core/limits.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { StoreLocation } from '#core/store-location.ts';
import type { Usage } from '#core/usage.ts';
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
  | { kind: 'stuck'; images: number[]; usage: Usage }
  | { kind: 'thumbnail'; jpeg: Uint8Array | null; tainted: boolean; usage: Usage }
  | { kind: 'failed'; code: SluiceErrorCode; message: string; retryable: boolean; usage: Usage };

/** With this many decoders stuck the rest of the pack would crawl: better to start again without those images. */
const MAX_STUCK = 2;

class TooManyStuck extends Error {}

serveTasks<PackProcessSetup, PackProcessTask, PackProcessEvent, PackProcessResult>((setup) => {
  const opening = openStore(setup.works);
  return async (task, emit) => {
    const tally = new Tally((task.kind === 'pack' ? task.request.stage : 'finalize') ?? 'preprocess');
    try {
      const works = await opening;
      return task.kind === 'pack'
        ? await pack(task, setup, { source: await openStore(task.request.source), works, tally }, emit)
        : await thumbnail(task, setup, { source: await openStore(task.source), tally });
    } catch (error) {
      const known =
        error instanceof SluiceError
          ? error
          : new SluiceError('internal', messageOf(error), { cause: error });
      const { code, message, retryable } = known;
      return { kind: 'failed', code, message, retryable, usage: tally.take() };
    }
  };
});

async function pack(
  task: PackProcessTask & { kind: 'pack' },
  setup: PackProcessSetup,
  ports: { source: ObjectStore; works: ObjectStore; tally: Tally },
  emit: (event: PackProcessEvent) => void,
): Promise<PackProcessResult> {
  const stuck: number[] = [];
  const options = task.announceImages ? { ...setup.options, imagesInFlight: 1 } : setup.options;
  try {
    const built = await buildPack(
      task.request,
      options,
      {
        ...ports,
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
    if (error instanceof TooManyStuck) return { kind: 'stuck', images: stuck, usage: ports.tally.take() };
    throw error;
  }
}

async function thumbnail(
  task: PackProcessTask & { kind: 'thumbnail' },
  setup: PackProcessSetup,
  { source, tally }: { source: ObjectStore; tally: Tally },
): Promise<PackProcessResult> {
  const { body } = await tally.run(() => source.get(task.key, { maxBytes: setup.limits.maxImageBytes }));
  const outcome = await thumbnailOf(body, setup.limits, task.maxSidePx);
  const usage = tally.take();
  if (outcome.ok) return { kind: 'thumbnail', jpeg: outcome.jpeg, tainted: false, usage };
  return { kind: 'thumbnail', jpeg: null, tainted: outcome.refusal.code === 'timed-out', usage };
}
