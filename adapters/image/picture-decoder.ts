import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { entryFile, startThread } from '#adapters/runtime.ts';
import { overPixelLimit } from '#core/image/inspect-image.ts';
import type { ImageLimits } from '#core/limits.ts';
import { type Refusal, refusal } from '#core/refusal.ts';
import { decoderRefusal } from './decoder-refusal.ts';
import { startDecodingClock } from './decoding-clock.ts';
import type { ThreadReply, ThreadRequest } from './picture-thread.ts';
import type { RawPicture } from './sharp-picture.ts';

/** The pixels of a picture, or why there are none. */
export type RawOutcome = { ok: true; picture: RawPicture } | { ok: false; refusal: Refusal };

interface PictureThread {
  readonly worker: Worker;
  /** Of its start: why it failed, or undefined once it is there. */
  readonly failure: Promise<Error | undefined>;
}

/**
 * Decodes what sharp cannot: HEIC (by libheif) and BMP. Both block the thread they run on, so they have one of their own, which is started for the first such file and ended when a file overruns its time.
 */
export class PictureDecoder {
  #thread: PictureThread | undefined;
  #nextId = 1;
  /** One file at a time: the thread does no more, and an overrun then names its culprit. */
  #last: Promise<unknown> = Promise.resolve();

  async decode(format: 'heic' | 'bmp', bytes: Buffer, limits: ImageLimits): Promise<RawOutcome> {
    const turn = this.#last.then(() => this.#decode(format, bytes, limits));
    this.#last = turn;
    return turn;
  }

  async #decode(format: 'heic' | 'bmp', bytes: Buffer, limits: ImageLimits): Promise<RawOutcome> {
    this.#thread ??= this.#start();
    const { worker: thread, failure } = this.#thread;
    const id = this.#nextId++;
    // An image's time does not pay for the start of a thread.
    const failed = await failure;
    if (failed !== undefined) {
      await this.#end();
      return { ok: false, refusal: decoderRefusal(failed) };
    }
    const maxPixels = Math.min(limits.maxPixels, limits.maxBufferedPixels);
    const reply = await new Promise<ThreadReply | 'overrun' | Error>((resolve) => {
      const stopClock = startDecodingClock(limits.maxSecondsPerImage, () => settle('overrun'));
      const onMessage = (message: ThreadReply): void => {
        if (message.id === id) settle(message);
      };
      const onEnd = (error: Error | number): void =>
        settle(error instanceof Error ? error : new Error('the decoder ended'));
      const settle = (result: ThreadReply | 'overrun' | Error): void => {
        stopClock();
        thread.off('message', onMessage).off('error', onEnd).off('exit', onEnd);
        resolve(result);
      };
      thread.on('message', onMessage).on('error', onEnd).on('exit', onEnd);
      thread.postMessage({ id, format, bytes, maxPixels } satisfies ThreadRequest);
    });
    if (reply === 'overrun') {
      await this.#end();
      return {
        ok: false,
        refusal: refusal('timed-out', `decoding took longer than ${limits.maxSecondsPerImage} s`),
      };
    }
    if (reply instanceof Error) {
      await this.#end();
      return { ok: false, refusal: decoderRefusal(reply) };
    }
    if (reply.kind === 'failed') return { ok: false, refusal: decoderRefusal(new Error(reply.message)) };
    if (reply.kind === 'too-large') {
      const tooLarge = overPixelLimit(reply, limits, true);
      return { ok: false, refusal: tooLarge ?? refusal('too-many-pixels', 'the decoder refuses its size') };
    }
    return { ok: true, picture: reply };
  }

  #start(): PictureThread {
    const worker = startThread(entryFile('./picture-thread.ts', import.meta.url), {
      name: 'picture-decoder',
    });
    // It must not keep a process alive that has nothing else to do.
    worker.unref();
    // Its first message says that it is there.
    const failure = Promise.race([
      once(worker, 'message').then(() => undefined),
      once(worker, 'exit').then(() => new Error('the decoder ended')),
    ]).catch((error: Error) => error);
    return { worker, failure };
  }

  async #end(): Promise<void> {
    const thread = this.#thread;
    this.#thread = undefined;
    await thread?.worker.terminate();
  }
}
