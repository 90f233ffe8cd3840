import { createRequire } from 'node:module';
import { parentPort } from 'node:worker_threads';
import { messageOf } from '#core/error.ts';
import { decodeBmp } from '#core/image/decode-bmp.ts';

/** What the thread is asked, and what it answers. */
export type ThreadRequest = { id: number; format: 'heic' | 'bmp'; bytes: Uint8Array; maxPixels: number };
export type ThreadReply =
  | { id: number; kind: 'picture'; widthPx: number; heightPx: number; rgba: Uint8Array }
  | { id: number; kind: 'too-large'; widthPx: number; heightPx: number }
  | { id: number; kind: 'failed'; message: string };

/** The part of libheif-js that is used here. */
interface Heif {
  HeifDecoder: new () => { decode(bytes: Uint8Array): HeifImage[] };
}
interface HeifImage {
  get_width(): number;
  get_height(): number;
  is_primary(): boolean;
  display(
    into: { data: Uint8ClampedArray; width: number; height: number },
    done: (shown: unknown) => void,
  ): void;
  free(): void;
}

const port = parentPort;
if (port === null) throw new Error('this file runs in a worker thread only');

// Loaded when the first such file comes: most jobs have none.
const require = createRequire(import.meta.url);
let heif: Heif | undefined;

port.on('message', async (request: ThreadRequest) => {
  try {
    const reply = request.format === 'heic' ? await decodeHeic(request) : bmpReply(request);
    port.postMessage(reply, reply.kind === 'picture' ? [reply.rgba.buffer as ArrayBuffer] : []);
  } catch (error) {
    port.postMessage({ id: request.id, kind: 'failed', message: messageOf(error) } satisfies ThreadReply);
  }
});

port.postMessage('ready');

async function decodeHeic({ id, bytes, maxPixels }: ThreadRequest): Promise<ThreadReply> {
  heif ??= require('libheif-js/wasm-bundle') as Heif;
  const images = new heif.HeifDecoder().decode(bytes);
  try {
    const image = images.find((one) => one.is_primary()) ?? images[0];
    if (image === undefined) throw new Error('there is no picture in the file');
    const width = image.get_width();
    const height = image.get_height();
    if (width * height > maxPixels) return { id, kind: 'too-large', widthPx: width, heightPx: height };
    const data = new Uint8ClampedArray(width * height * 4);
    await new Promise<void>((resolve, reject) => {
      image.display({ data, width, height }, (shown) =>
        shown ? resolve() : reject(new Error('the picture cannot be decoded')),
      );
    });
    return { id, kind: 'picture', widthPx: width, heightPx: height, rgba: new Uint8Array(data.buffer) };
  } finally {
    for (const image of images) image.free();
  }
}

function bmpReply({ id, bytes }: ThreadRequest): ThreadReply {
  return { id, kind: 'picture', ...decodeBmp(bytes) };
}
