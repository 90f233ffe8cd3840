import type { Readable } from 'node:stream';
import { messageOf, SluiceError } from '#core/error.ts';

/**
 * Fills `body` from the stream. By events: iterating over the stream costs a fifth of the throughput.
 *
 * @throws SluiceError `store-unavailable`, worth another try, where the stream has more or fewer bytes, fails, or `signal` is aborted.
 */
export function readBody(
  stream: Readable,
  body: Buffer,
  signal: AbortSignal,
  watch?: (piece: Uint8Array) => void,
): Promise<Buffer> {
  const bytes = body.length;
  let filled = 0;
  return new Promise<Buffer>((resolve, reject) => {
    const fail = (what: string): void => {
      stream.destroy();
      reject(brokenOff(what));
    };
    // The SDK's signal ends with the response's head; a body that stalls is ours to end.
    const stop = (): void => fail('it took too long, or was told to stop');
    signal.addEventListener('abort', stop, { once: true });
    stream.on('data', (chunk: Buffer) => {
      if (filled + chunk.length > bytes) return fail(`more than the ${bytes} bytes announced`);
      watch?.(chunk);
      filled += chunk.copy(body, filled);
    });
    stream.once('error', (error) => fail(messageOf(error)));
    stream.once('close', () => {
      signal.removeEventListener('abort', stop);
      if (filled === bytes) resolve(body);
      else fail(`${filled} of ${bytes} bytes`);
    });
  });
}

function brokenOff(what: string): SluiceError {
  return new SluiceError('store-unavailable', `a transfer broke off: ${what}`, { retryable: true });
}
