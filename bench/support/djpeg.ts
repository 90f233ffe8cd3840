import { type ChildProcess, execFileSync, fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

interface Request {
  readonly file: string;
  /** In eighths of the picture's sides. */
  readonly eighths: number;
}

/**
 * libjpeg-turbo's `djpeg`, started and timed by a process of its own. Starting a process copies the memory map of the one that
 * starts it, which then pays for each page that it writes to: the code that djpeg is compared to must not.
 */
export class Djpeg implements AsyncDisposable {
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess) {
    this.#process = process;
  }

  /** @returns `undefined` where it is not installed. */
  static start(): Djpeg | undefined {
    if (spawnSync('djpeg', ['-version'], { stdio: 'ignore' }).error !== undefined) return undefined;
    return new Djpeg(fork(fileURLToPath(import.meta.url)));
  }

  /** The milliseconds of starting it, reading and decoding a file, and writing its pixels to nowhere. */
  async decodingMs(file: string, eighths: number): Promise<number> {
    this.#process.send({ file, eighths } satisfies Request);
    const [ms] = (await once(this.#process, 'message')) as [number];
    return ms;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.disconnect();
    await once(this.#process, 'exit');
  }
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  process.on('message', ({ file, eighths }: Request) => {
    const startedMs = performance.now();
    execFileSync('djpeg', ['-scale', `${eighths}/8`, '-outfile', '/dev/null', file]);
    process.send?.(performance.now() - startedMs);
  });
}
