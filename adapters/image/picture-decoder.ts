import type { Worker } from 'node:worker_threads';
import { entryFile, startThread } from '#adapters/runtime.ts';
import { overPixelLimit } from '#core/image/inspect-image.ts';
import type { ImageLimits } from '#core/limits.ts';
import { type Refusal, refusal } from '#core/refusal.ts';
import { decoderRefusal } from './decoder-refusal.ts';
import type { ThreadReply, ThreadRequest } from './picture-thread.ts';
import type { RawPicture } from './sharp-picture.ts';

/** The pixels of a picture, or why there are none. */
export type RawOutcome = { ok: true; picture: RawPicture } | { ok: false; refusal: Refusal };

/**
 * Decodes what sharp cannot: HEIC (by libheif) and BMP. Both block the thread they run on, so they have one of their own, which is started for the first such file and ended when a file overruns its time.
 */
export class PictureDecoder {
  #thread: Worker | undefined;
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
    const thread = this.#thread;
    const id = this.#nextId++;
    const maxPixels = Math.min(limits.maxPixels, limits.maxBufferedPixels);
    const reply = await new Promise<ThreadReply | 'overrun' | Error>((resolve) => {
      const timer = setTimeout(() => settle('overrun'), limits.maxSecondsPerImage * 1000);
      const onMessage = (message: ThreadReply): void => {
        if (message.id === id) settle(message);
      };
      const onEnd = (error: Error | number): void =>
        settle(error instanceof Error ? error : new Error('the decoder ended'));
      const settle = (result: ThreadReply | 'overrun' | Error): void => {
        clearTimeout(timer);
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

  #start(): Worker {
    const thread = startThread(entryFile('./picture-thread.ts', import.meta.url), {
      name: 'picture-decoder',
    });
    // It must not keep a process alive that has nothing else to do.
    thread.unref();
    return thread;
  }

  async #end(): Promise<void> {
    const thread = this.#thread;
    this.#thread = undefined;
    await thread?.terminate();
  }
}
