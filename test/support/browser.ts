import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { temporaryFolder } from './temporary-folder.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** A Chromium of this machine; `undefined` where there is none. */
export const chromium: string | undefined =
  process.env['SLUICE_CHROMIUM'] ??
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .flatMap((folder) => NAMES.map((name) => join(folder, name)))
    .find((file) => existsSync(file));

type Message = { id?: number; method?: string; params?: never; result?: never; error?: { message: string } };
type Folder = Awaited<ReturnType<typeof temporaryFolder>>;

/** One tab of a Chromium without a window, over the DevTools protocol: a pipe, so that no port is open. */
export class Browser implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #profile: Folder;
  readonly #waiting = new Map<number, (message: Message) => void>();
  readonly #listeners: ((message: Message) => void)[] = [];
  #session: string | undefined;
  #lastId = 0;

  private constructor(child: ChildProcess, profile: Folder) {
    this.#process = child;
    this.#profile = profile;
    let rest = '';
    (child.stdio[4] as Readable).setEncoding('utf8').on('data', (chunk: string) => {
      const texts = (rest + chunk).split('\0');
      rest = texts.pop() ?? '';
      for (const message of texts.map((text) => JSON.parse(text) as Message)) {
        if (message.id === undefined) for (const listener of this.#listeners) listener(message);
        else this.#waiting.get(message.id)?.(message);
      }
    });
  }

  static async start(executable: string): Promise<Browser> {
    const profile = await temporaryFolder();
    const flags = [
      '--headless',
      '--disable-gpu',
      '--remote-debugging-pipe',
      `--user-data-dir=${profile.path}`,
      // Chromium has no sandbox for root, as whom containers run their tests.
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
    ];
    const child = spawn(executable, flags, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    const browser = new Browser(child, profile);
    const { targetId } = await browser.send<{ targetId: string }>('Target.createTarget', {
      url: 'about:blank',
    });
    const attached = await browser.send<{ sessionId: string }>('Target.attachToTarget', {
      targetId,
      flatten: true,
    });
    browser.#session = attached.sessionId;
    return browser;
  }

  async send<Result>(method: string, params: object = {}): Promise<Result> {
    const id = ++this.#lastId;
    const answered = new Promise<Message>((resolve) => this.#waiting.set(id, resolve));
    const message = { id, method, params, ...(this.#session !== undefined && { sessionId: this.#session }) };
    (this.#process.stdio[3] as Writable).write(`${JSON.stringify(message)}\0`);
    const { result, error } = await answered;
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result as Result;
  }

  /** Calls back with the parameters of each event of this kind. */
  on<Params>(method: string, listener: (params: Params) => void): void {
    this.#listeners.push((message) => {
      if (message.method === method) listener(message.params as Params);
    });
  }

  /** What an expression comes to in the page. */
  async evaluate<Value>(expression: string): Promise<Value> {
    const { result } = await this.send<{ result: { value: Value } }>('Runtime.evaluate', {
      expression,
      returnByValue: true,
    });
    return result.value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#process, 'close');
    this.#process.kill('SIGKILL');
    await closed;
    await this.#profile[Symbol.asyncDispose]();
  }
}
