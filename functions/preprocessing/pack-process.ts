import {
  decoderVersion,
  pixelHashOf,
  preprocessTargets,
  type TakeRoom,
  thumbnailOf,
} from '#adapters/image/preprocess-image.ts';
import { Tally } from '#adapters/meter.ts';
import { openStore } from '#adapters/open-store.ts';
import { serveTasks } from '#adapters/task-process.ts';
import { sha256Hex, shortHashOf } from '#core/canonical-json.ts';
import { messageOf, SluiceError, type SluiceErrorCode } from '#core/error.ts';
import type { ImageLimits } from '#core/limits.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { PreprocessSpec } from '#core/preprocess-spec.ts';
import type { StoreLocation } from '#core/store-location.ts';
import type { Usage } from '#core/usage.ts';
import { type BuiltPack, buildPack, type PackBuilderOptions, type PackRequest } from './build-pack.ts';
import type { RoomEvent, RoomGranted } from './decoding-room.ts';
import { RoomSeeker } from './room-seeker.ts';

/** What a decoding process needs to know before its first task. */
export interface PackProcessSetup {
  readonly works: StoreLocation;
  readonly limits: ImageLimits;
  readonly options: PackBuilderOptions;
  /** For pictures while they are decoded, in each process: see {@link DecodingRoom}. Left out, there is no bound. */
  readonly maxDecodedBytes?: number;
}

/** What the process itself is told on top. */
export interface PackProcessStart extends PackProcessSetup {
  /** A picture that needs no more is decoded without asking for room. */
  readonly shareBytes?: number;
}

export type PackProcessTask =
  | { kind: 'pack'; request: PackRequest; announceImages: boolean }
  | { kind: 'thumbnail'; source: StoreLocation; key: string; maxSidePx: number }
  | { kind: 'pixels'; source: StoreLocation; key: string; etag: string; spec: PixelSpec };

/** What the pixels of a picture depend on, beside its file. */
export type PixelSpec = Pick<PreprocessSpec, 'color' | 'background'>;

/** "This image is next", sent where the parent wants to know which image a process dies on; or it is about room for a picture. */
export type PackProcessEvent = { readonly startedImage: number } | RoomEvent;

export type PackProcessResult =
  /**
   * `tainted`: a native decoder still runs on in this process; kill it. `cpuMs`: milliseconds of processor time, user and
   * system, of all threads of the process while it did the task.
   */
  | { kind: 'built'; pack: BuiltPack; tainted: boolean; cpuMs: number }
  | { kind: 'stuck'; images: number[]; usage: Usage; cpuMs: number }
  | { kind: 'thumbnail'; jpeg: Uint8Array | null; tainted: boolean; usage: Usage }
  /** The hash of the whole picture; null where the file is not the one that was meant, or cannot be decoded whole. */
  | { kind: 'pixels'; hash: string | null; tainted: boolean; usage: Usage }
  | { kind: 'failed'; code: SluiceErrorCode; message: string; retryable: boolean; usage: Usage };

/** With this many decoders stuck the rest of the pack would crawl: better to start again without those images. */
const MAX_STUCK = 2;

class TooManyStuck extends Error {}

/** Processor time of this process for the images of one pack, which come one after the other. */
class ImageMeter {
  readonly #startedMs = cpuMs();
  readonly #ms: number[];
  /** When the last image was begun, and which. */
  #begun: { index: number; atMs: number } | undefined;

  constructor(images: number) {
    this.#ms = new Array<number>(images).fill(0);
  }

  start(index: number): void {
    const atMs = cpuMs();
    // What goes on between two images (memory that is cleaned up, above all) is owed to the first.
    if (this.#begun !== undefined) this.#ms[this.#begun.index] = atMs - this.#begun.atMs;
    this.#begun = { index, atMs };
  }

  done(index: number): void {
    if (this.#begun?.index === index) this.#ms[index] = cpuMs() - this.#begun.atMs;
  }

  totalMs(): number {
    return cpuMs() - this.#startedMs;
  }

  /** By image. What the pack took beside its images is shared evenly. */
  imagesMs(totalMs: number): number[] {
    const ownMs = this.#ms.reduce((sum, ms) => sum + ms, 0);
    const shareMs = Math.max(0, totalMs - ownMs) / Math.max(1, this.#ms.length);
    return this.#ms.map((ms) => ms + shareMs);
  }
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

let rooms = new RoomSeeker(Number.POSITIVE_INFINITY);

serveTasks<PackProcessStart, PackProcessTask, PackProcessEvent, PackProcessResult>(
  (setup) => {
    const opening = openStore(setup.works);
    rooms = new RoomSeeker(setup.shareBytes ?? Number.POSITIVE_INFINITY);
    return async (task, emit) => {
      const tally = new Tally((task.kind === 'pack' ? task.request.stage : 'finalize') ?? 'preprocess');
      try {
        const works = await opening;
        if (task.kind === 'pack')
          return await pack(
            task,
            setup,
            { source: await openStore(task.request.source), works, tally },
            emit,
          );
        const ports = { source: await openStore(task.source), tally, takeRoom: roomsOf(emit) };
        return task.kind === 'pixels'
          ? await pixels(task, setup, ports)
          : await thumbnail(task, setup, ports);
      } catch (error) {
        const known =
          error instanceof SluiceError
            ? error
            : new SluiceError('internal', messageOf(error), { cause: error });
        const { code, message, retryable } = known;
        return { kind: 'failed', code, message, retryable, usage: tally.take() };
      }
    };
  },
  (granted) => rooms.onGranted(granted as RoomGranted),
);

function roomsOf(emit: (event: PackProcessEvent) => void): TakeRoom {
  return (bytes) => rooms.take(bytes, emit);
}

async function pack(
  task: PackProcessTask & { kind: 'pack' },
  setup: PackProcessSetup,
  ports: { source: ObjectStore; works: ObjectStore; tally: Tally },
  emit: (event: PackProcessEvent) => void,
): Promise<PackProcessResult> {
  const stuck: number[] = [];
  const { announceImages } = task;
  const measured = task.request.measured === true;
  const options = announceImages || measured ? { ...setup.options, imagesInFlight: 1 } : setup.options;
  const meter = new ImageMeter(task.request.refs.length);
  try {
    const built = await buildPack(
      task.request,
      options,
      {
        ...ports,
        decoderVersion: decoderVersion(),
        preprocess: (bytes, targets, region) =>
          preprocessTargets(bytes, targets, setup.limits, region, roomsOf(emit)),
      },
      {
        onImageStarted: (index) => {
          if (announceImages) emit({ startedImage: index });
          if (measured) meter.start(index);
        },
        onImageDone: (index) => {
          if (measured) meter.done(index);
        },
        onDecoderStuck: (index) => {
          stuck.push(index);
          if (stuck.length >= MAX_STUCK) throw new TooManyStuck();
        },
      },
    );
    const cpuMs = meter.totalMs();
    const pack = measured ? { ...built, imageCpuMs: meter.imagesMs(cpuMs) } : built;
    return { kind: 'built', pack, tainted: stuck.length > 0, cpuMs };
  } catch (error) {
    if (error instanceof TooManyStuck)
      return { kind: 'stuck', images: stuck, usage: ports.tally.take(), cpuMs: meter.totalMs() };
    throw error;
  }
}

async function thumbnail(
  task: PackProcessTask & { kind: 'thumbnail' },
  setup: PackProcessSetup,
  { source, tally, takeRoom }: { source: ObjectStore; tally: Tally; takeRoom: TakeRoom },
): Promise<PackProcessResult> {
  const { body } = await tally.run(() => source.get(task.key, { maxBytes: setup.limits.maxImageBytes }));
  const outcome = await thumbnailOf(body, setup.limits, task.maxSidePx, takeRoom);
  const usage = tally.take();
  if (outcome.ok) return { kind: 'thumbnail', jpeg: outcome.jpeg, tainted: false, usage };
  return { kind: 'thumbnail', jpeg: null, tainted: outcome.refusal.code === 'timed-out', usage };
}

/** Copies of one file come one after the other: equal files have equal pixels, and are decoded once. */
let lastPixels: { file: string; hash: string } | undefined;

async function pixels(
  task: PackProcessTask & { kind: 'pixels' },
  setup: PackProcessSetup,
  { source, tally, takeRoom }: { source: ObjectStore; tally: Tally; takeRoom: TakeRoom },
): Promise<PackProcessResult> {
  const { key, etag, spec } = task;
  const { maxImageBytes } = setup.limits;
  const stored = await tally.run(() => source.get(key, { maxBytes: maxImageBytes }));
  const usage = tally.take();
  if (stored.etag !== etag) return { kind: 'pixels', hash: null, tainted: false, usage };
  const file = `${sha256Hex(stored.body)} ${shortHashOf(spec)}`;
  if (lastPixels?.file === file) return { kind: 'pixels', hash: lastPixels.hash, tainted: false, usage };
  const outcome = await pixelHashOf(stored.body, spec, setup.limits, takeRoom);
  if (!outcome.ok) return { kind: 'pixels', hash: null, tainted: outcome.decoderStuck === true, usage };
  lastPixels = { file, hash: outcome.hash };
  return { kind: 'pixels', hash: outcome.hash, tainted: false, usage };
}
