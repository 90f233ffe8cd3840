import PQueue from 'p-queue';
import { countUsage, inCallersTally, oweWaste } from '#adapters/meter.ts';
import { entryFile } from '#adapters/runtime.ts';
import { TaskProcess } from '#adapters/task-process.ts';
import { SluiceError, type SluiceErrorCode } from '#core/error.ts';
import { type Refusal, refusal } from '#core/refusal.ts';
import type { StoreLocation } from '#core/store-location.ts';
import type { BuiltPack, PackRequest } from './build-pack.ts';
import { DecodingRoom } from './decoding-room.ts';
import type {
  PackProcessEvent,
  PackProcessResult,
  PackProcessSetup,
  PackProcessStart,
  PackProcessTask,
  PixelSpec,
} from './pack-process.ts';
import type { PackTarget } from './pack-tensor.ts';

type Process = TaskProcess<PackProcessStart, PackProcessTask, PackProcessEvent, PackProcessResult>;

/**
 * A fixed number of decoding processes that build packs. An image that holds a decoder beyond its time, or
 * takes its process down, ends as a refusal in its pack; the images around it are decoded all the same.
 *
 * @example
 * await using processes = new PackProcesses(2, setup);
 * const { images, refused } = await processes.build(request);
 */
export class PackProcesses implements AsyncDisposable {
  /** How many packs are built at the same time. */
  readonly concurrency: number;
  readonly #setup: PackProcessStart;
  readonly #room: DecodingRoom;
  readonly #entry: URL;
  readonly #queue: PQueue;
  readonly #idle: Process[] = [];
  readonly #all = new Set<Process>();
  #disposed = false;
  #cpuMs = 0;
  #images = 0;

  /** @param entry the file that the processes run; another one only in tests. */
  constructor(
    processes: number,
    setup: PackProcessSetup,
    entry = entryFile('./pack-process.ts', import.meta.url),
  ) {
    const { maxDecodedBytes = Number.POSITIVE_INFINITY, options } = setup;
    this.#room = new DecodingRoom(processes * maxDecodedBytes, processes * options.imagesInFlight);
    this.#setup = { ...setup, shareBytes: this.#room.shareBytes };
    this.#entry = entry;
    this.concurrency = processes;
    this.#queue = new PQueue({ concurrency: processes });
  }

  /** Builds one pack, or several of the same images. @throws SluiceError when a store fails; never because of an image. */
  async build(request: PackRequest, signal?: AbortSignal): Promise<BuiltPack> {
    return this.#queue.add(
      inCallersTally(() => {
        signal?.throwIfAborted();
        return request.also === undefined ? this.#build(request) : this.#buildSeveral(request, request.also);
      }),
    );
  }

  /**
   * Images that went into packs so far, decoded or refused, and the processor time (user and system) that it took. What a
   * process used before its first pack, or on one that it died of, is not in it.
   */
  get used(): { readonly images: number; readonly cpuMs: number } {
    return { images: this.#images, cpuMs: this.#cpuMs };
  }

  /** A small JPEG of one image, or `undefined` where it cannot be decoded. */
  async thumbnail(source: StoreLocation, key: string, maxSidePx: number): Promise<Uint8Array | undefined> {
    return this.#queue.add(
      inCallersTally(async () => {
        try {
          const result = await this.#run({ kind: 'thumbnail', source, key, maxSidePx });
          if (result.kind === 'thumbnail' || result.kind === 'failed') countUsage(result.usage);
          return result.kind === 'thumbnail' ? (result.jpeg ?? undefined) : undefined;
        } catch {
          // The image was audited; that its picture cannot be shown now is no reason to fail the report.
          return undefined;
        }
      }),
    );
  }

  /**
   * The hash of an image's whole picture as it was audited; null where the image is gone, has changed, or cannot be decoded whole.
   *
   * @throws SluiceError when the store fails; never because of the image.
   */
  async pixelHash(
    source: StoreLocation,
    { key, etag }: { readonly key: string; readonly etag: string },
    { color, background }: PixelSpec,
  ): Promise<string | null> {
    return this.#queue.add(
      inCallersTally(async () => {
        const task: PackProcessTask = { kind: 'pixels', source, key, etag, spec: { color, background } };
        const result = await this.#run(task).catch((error: unknown) => {
          // A process that died on it: the image is one that cannot be decoded whole.
          if (this.#disposed) throw error;
        });
        if (result === undefined) return null;
        if (result.kind === 'pixels' || result.kind === 'failed') countUsage(result.usage);
        if (result.kind === 'pixels') return result.hash;
        const failure = failureOf(result);
        if (IMAGE_FAULTS.has(failure.code)) return null;
        throw failure;
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#queue.clear();
    for (const process of this.#all) process.kill();
  }

  /** Several at once where no image stands in the way; else one after the other, since each takes an image in its own way. */
  async #buildSeveral(request: PackRequest, also: readonly PackTarget[]): Promise<BuiltPack> {
    const result = await this.#run({ kind: 'pack', request, announceImages: false }).catch(
      (error: unknown) => {
        if (this.#disposed) throw error;
      },
    );
    if (result?.kind === 'built') return this.#counted(result);
    if (result?.kind === 'failed') throw this.#failure(result);
    if (result?.kind === 'stuck') this.#countStuck(result, request.stage);
    const { also: _, ...one } = request;
    const first = await this.#build(one);
    const others: BuiltPack[] = [];
    for (const target of also) others.push(await this.#build({ ...one, ...target }));
    return { ...first, also: others };
  }

  async #build(request: PackRequest): Promise<BuiltPack> {
    const refused: Record<number, Refusal> = { ...request.refused };
    let announceImages = false;
    // Every turn either ends, or refuses one more image, or (once) begins to watch images one by one.
    for (;;) {
      let started: number | undefined;
      const task: PackProcessTask = { kind: 'pack', request: { ...request, refused }, announceImages };
      const onEvent = (event: PackProcessEvent): void => {
        if ('startedImage' in event) started = event.startedImage;
      };
      const result = await this.#run(task, onEvent).catch((error: unknown) => {
        if (this.#disposed || (announceImages && started === undefined)) throw error;
      });
      if (result === undefined) {
        if (started !== undefined) refused[started] = refusal('corrupt', 'the decoder crashed on this image');
        announceImages = true;
      } else if (result.kind === 'stuck') {
        this.#countStuck(result, request.stage);
        for (const image of result.images) refused[image] = timedOut(this.#setup.limits.maxSecondsPerImage);
      } else if (result.kind === 'built') {
        return this.#counted(result);
      } else {
        throw this.#failure(result);
      }
    }
  }

  #counted({ pack, cpuMs }: PackProcessResult & { kind: 'built' }): BuiltPack {
    this.#cpuMs += cpuMs;
    this.#images += pack.images + pack.refused;
    return pack;
  }

  #countStuck({ cpuMs, usage }: PackProcessResult & { kind: 'stuck' }, stage: PackRequest['stage']): void {
    this.#cpuMs += cpuMs;
    oweWaste(stage ?? 'preprocess', usage);
  }

  #failure(result: PackProcessResult): SluiceError {
    if (result.kind === 'failed') countUsage(result.usage);
    return failureOf(result);
  }

  async #run(task: PackProcessTask, onEvent?: (event: PackProcessEvent) => void): Promise<PackProcessResult> {
    const process = this.#idle.pop() ?? this.#start();
    // What a process holds when it dies, or is given up, is free again.
    using room = this.#room.tenant((granted) => process.answer(granted));
    const result = await process
      .run(task, (event) => {
        if ('startedImage' in event) onEvent?.(event);
        else room.onEvent(event);
      })
      .finally(() => {
        if (process.isDead) this.#all.delete(process);
      });
    if (result.kind === 'stuck' || ('tainted' in result && result.tainted)) {
      process.kill();
      this.#all.delete(process);
    } else {
      this.#idle.push(process);
    }
    return result;
  }

  #start(): Process {
    const process: Process = new TaskProcess(this.#entry, this.#setup);
    this.#all.add(process);
    return process;
  }
}

/** What a store says of one object, and not of itself. */
const IMAGE_FAULTS: ReadonlySet<SluiceErrorCode> = new Set([
  'object-missing',
  'object-forbidden',
  'object-too-large',
]);

function timedOut(seconds: number): Refusal {
  return refusal('timed-out', `decoding took longer than ${seconds} s`);
}

function failureOf(result: PackProcessResult): SluiceError {
  if (result.kind !== 'failed') return new SluiceError('internal', `unexpected answer "${result.kind}"`);
  return new SluiceError(result.code, result.message, { retryable: result.retryable });
}
